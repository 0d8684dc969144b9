package org.winnow.cuda;

import java.util.HashMap;
import java.util.Map;
import org.winnow.internal.MoeCombineArguments;

/** Launches moe_combine_cuda.cu: a row of blocks per token. */
final class CudaMoeCombine {
  private static final int BLOCK = 128;
  private static final int COLUMNS_PER_BLOCK = ElementGrid.VECTOR * BLOCK;

  private final Map<Integer, Kernel> kernels = new HashMap<>(); // by the output's type

  CudaMoeCombine(CudaContext context) {
    for (MoeCombineLaunch.Variant variant : MoeCombineLaunch.KERNELS)
      kernels.put(variant.outputType(), context.kernel("moe_combine", variant.name()));
  }

  void launch(CudaStream stream, MoeCombineArguments arguments) {
    long hiddenSize = arguments.hiddenSize();
    if (arguments.numTokens() == 0 || hiddenSize == 0) return;
    long columnBlocks = (hiddenSize + COLUMNS_PER_BLOCK - 1) / COLUMNS_PER_BLOCK;
    Kernel.require(kernels.get(arguments.outputType()), "output type", arguments.outputType())
        .launch(
            stream,
            (int) arguments.numTokens(),
            (int) Math.min(columnBlocks, DeviceLaunch.MAX_GRID_Y),
            1,
            BLOCK,
            0,
            stream.arguments().of(arguments));
  }
}
