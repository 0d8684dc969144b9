package org.winnow.cuda;

import org.winnow.internal.ClampArguments;

/** Launches clamp_cuda.cu. */
final class CudaClamp {
  private final Kernel kernel;
  private final ElementGrid grid;

  CudaClamp(CudaContext context) {
    kernel = context.kernel("clamp", "clamp_f32");
    grid = new ElementGrid(context.device());
  }

  void launch(CudaStream stream, ClampArguments arguments) {
    if (arguments.size() == 0) return;
    int blocks = grid.blocks(arguments.size());
    kernel.launch(stream, blocks, 1, 1, ElementGrid.BLOCK, 0, stream.arguments().of(arguments));
  }
}
