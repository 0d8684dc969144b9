package org.winnow.cuda;

import org.winnow.internal.RopeArguments;

/** Launches rope_cuda.cu with one thread per pair, once for values that are linked. */
final class CudaRope {
  private final Kernel kernel;
  private final ElementGrid grid;

  CudaRope(CudaContext context) {
    kernel = context.kernel("rope", "rope_f32");
    grid = new ElementGrid(context.device());
  }

  void launch(CudaStream stream, RopeArguments first) {
    RopeArguments second = first.next();
    int firstBlocks = blocks(first);
    int blocks = firstBlocks + (second == null ? 0 : blocks(second));
    if (blocks == 0) return;
    kernel.launch(
        stream,
        blocks,
        1,
        1,
        ElementGrid.BLOCK,
        0,
        stream.arguments().ofLinked(first, second, firstBlocks));
  }

  private int blocks(RopeArguments arguments) {
    return grid.blocksOfOne(arguments.numTokens() * arguments.numHeads() * arguments.numPairs());
  }
}
