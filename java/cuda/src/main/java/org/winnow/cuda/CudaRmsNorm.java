package org.winnow.cuda;

import org.winnow.Tensor;

/** Launches rms_norm_cuda.cu: a block per row. */
final class CudaRmsNorm {
  private final Kernel kernel;

  CudaRmsNorm(CudaContext context) {
    kernel = context.kernel("rms_norm", "rms_norm_f32");
  }

  void launch(CudaStream stream, Tensor input, Tensor weight, Tensor output, float epsilon) {
    if (input.size() == 0) return;
    long size = input.dim(1);
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
            .address(output.address())
            .i64(size)
            .i64(size)
            .f32(epsilon)
            .i32(RowGrid.aligned(input.address() | weight.address() | output.address(), size)));
  }
}
