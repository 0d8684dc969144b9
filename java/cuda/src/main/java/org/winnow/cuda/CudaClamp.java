package org.winnow.cuda;

import org.winnow.Tensor;

/** Launches clamp_cuda.cu. */
final class CudaClamp {
  private final Kernel kernel;
  private final ElementGrid grid;

  CudaClamp(CudaContext context) {
    kernel = context.kernel("clamp", "clamp_f32");
    grid = new ElementGrid(context.device());
  }

  void launch(CudaStream stream, Tensor values, float limit) {
    long size = values.size();
    if (size == 0) return;
    long vectors = ElementGrid.vectors(size, values.address());
    kernel.launch(
        stream,
        grid.blocks(size),
        1,
        1,
        ElementGrid.BLOCK,
        0,
        stream.arguments().begin().address(values.address()).f32(limit).i64(vectors).i64(size));
  }
}
