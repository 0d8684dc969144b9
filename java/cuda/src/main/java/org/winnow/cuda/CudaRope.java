package org.winnow.cuda;

import org.winnow.internal.RopeArguments;

/** Launches rope_cuda.cu: a thread per pair. */
final class CudaRope {
  private final Kernel kernel;
  private final ElementGrid grid;

  CudaRope(CudaContext context) {
    kernel = context.kernel("rope", "rope_f32");
    grid = new ElementGrid(context.device());
  }

  void launch(CudaStream stream, RopeArguments arguments) {
    long pairs = arguments.numTokens() * arguments.numHeads() * arguments.numPairs();
    if (pairs == 0) return;
    kernel.launch(
        stream,
        grid.blocksOfOne(pairs),
        1,
        1,
        ElementGrid.BLOCK,
        0,
        stream.arguments().of(arguments));
  }
}
