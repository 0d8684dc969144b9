package org.winnow.cuda;

import org.winnow.internal.RmsNormArguments;

/** Launches rms_norm_cuda.cu: a block per row. */
final class CudaRmsNorm {
  private final Kernel kernel;

  CudaRmsNorm(CudaContext context) {
    kernel = context.kernel("rms_norm", "rms_norm_f32");
  }

  void launch(CudaStream stream, RmsNormArguments arguments) {
    if (arguments.numRows() == 0 || arguments.hiddenSize() == 0) return;
    kernel.launch(
        stream,
        Math.toIntExact(arguments.numRows()),
        1,
        1,
        RowGrid.block(arguments.hiddenSize()),
        0,
        stream.arguments().of(arguments));
  }
}
