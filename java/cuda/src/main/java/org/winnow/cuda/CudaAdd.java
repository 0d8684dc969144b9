package org.winnow.cuda;

import org.winnow.Tensor;

/** Launches add_cuda.cu. */
final class CudaAdd {
  private final Kernel kernel;
  private final ElementGrid grid;

  CudaAdd(CudaContext context) {
    kernel = context.kernel("add", "add_f32");
    grid = new ElementGrid(context.device());
  }

  void launch(CudaStream stream, Tensor accumulator, Tensor addend) {
    long size = accumulator.size();
    if (size == 0) return;
    long vectors = ElementGrid.vectors(size, accumulator.address() | addend.address());
    kernel.launch(
        stream,
        grid.blocks(size),
        1,
        1,
        ElementGrid.BLOCK,
        0,
        stream
            .arguments()
            .begin()
            .address(accumulator.address())
            .address(addend.address())
            .i64(vectors)
            .i64(size));
  }
}
