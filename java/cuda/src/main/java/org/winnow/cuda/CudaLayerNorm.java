package org.winnow.cuda;

import org.winnow.internal.LayerNormArguments;

/** Launches layer_norm_cuda.cu: a block per row. */
final class CudaLayerNorm {
  private final Kernel kernel;

  CudaLayerNorm(CudaContext context) {
    kernel = context.kernel("layer_norm", "layer_norm_f32");
  }

  void launch(CudaStream stream, LayerNormArguments arguments) {
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
