package org.winnow.cuda;

import org.jspecify.annotations.Nullable;
import org.winnow.internal.RmsNormArguments;

/**
 * Launches rms_norm_cuda.cu with one block per row, once for linked rows if they take the same
 * number of threads.
 */
final class CudaRmsNorm {
  private final Kernel kernel;

  CudaRmsNorm(CudaContext context) {
    kernel = context.kernel("rms_norm", "rms_norm_f32");
  }

  void launch(CudaStream stream, RmsNormArguments first) {
    RmsNormArguments second = first.next();
    if (second == null || RowGrid.block(first.hiddenSize()) == RowGrid.block(second.hiddenSize())) {
      launch(stream, first, second);
    } else {
      launch(stream, first, null);
      launch(stream, second, null);
    }
  }

  private void launch(
      CudaStream stream, RmsNormArguments first, @Nullable RmsNormArguments second) {
    int firstBlocks = blocks(first);
    int blocks = firstBlocks + (second == null ? 0 : blocks(second));
    if (blocks == 0) return;
    kernel.launch(
        stream,
        blocks,
        1,
        1,
        RowGrid.block(first.hiddenSize()),
        0,
        stream.arguments().ofLinked(first, second, firstBlocks));
  }

  private static int blocks(RmsNormArguments arguments) {
    return arguments.hiddenSize() == 0 ? 0 : Math.toIntExact(arguments.numRows());
  }
}
