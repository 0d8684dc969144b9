package org.winnow.cuda;

import org.winnow.internal.AddArguments;

/** Launches add_cuda.cu. */
final class CudaAdd {
  private final Kernel kernel;
  private final ElementGrid grid;

  CudaAdd(CudaContext context) {
    kernel = context.kernel("add", "add_f32");
    grid = new ElementGrid(context.device());
  }

  void launch(CudaStream stream, AddArguments arguments) {
    if (arguments.size() == 0) return;
    int blocks = grid.blocks(arguments.size());
    kernel.launch(stream, blocks, 1, 1, ElementGrid.BLOCK, 0, stream.arguments().of(arguments));
  }
}
