package org.winnow.cuda;

import org.winnow.Tensor;

/** Launches layer_norm_cuda.cu: a block per row. */
final class CudaLayerNorm {
  private final Kernel kernel;

  CudaLayerNorm(CudaContext context) {
    kernel = context.kernel("layer_norm", "layer_norm_f32");
  }

  void launch(
      CudaStream stream, Tensor input, Tensor weight, Tensor bias, Tensor output, float epsilon) {
    if (input.size() == 0) return;
    long size = input.dim(1);
    long biasAddress = bias == null ? 0 : bias.address();
    kernel.launch(
        stream,
        Math.toIntExact(input.dim(0)),
        1,
        1,
        RowGrid.block(size),
        0,
        stream
            .arguments()
            .begin()
            .address(input.address())
            .address(weight.address())
            .address(biasAddress)
            .address(output.address())
            .i64(size)
            .f32(epsilon)
            .i32(
                RowGrid.aligned(
                    input.address() | weight.address() | biasAddress | output.address(), size)));
  }
}
