package org.winnow.cli;

import static org.winnow.Tensor.ANY;

import org.jspecify.annotations.Nullable;
import org.winnow.Tensor;
import org.winnow.op.ModularConvolution;

/** Cases of {@code modular_convolution}: all at once, or step by step with a decoder's state. */
final class ModularConvolutionCheck implements OperationCheck {
  @Override
  public void run(OperationCase given) {
    Tensor input = given.input("input.hidden", ANY, ANY, ANY);
    int lengthKernel = given.count("length_kernel");
    Tensor kernel =
        given.floating(
            "weight.kernel", lengthKernel, given.count("module_kernel"), input.dim(2), ANY);
    @Nullable Tensor bias = given.f32OrNull("weight.bias", kernel.dim(3));
    Tensor output = given.result(input.dim(0), input.dim(1), kernel.dim(3));
    if (given.has("decoded_steps")) {
      decode(given, input, kernel, bias, output);
    } else {
      ModularConvolution.run(given.backend(), input, null, kernel, bias, output, null);
    }
    given.judge("output", output.toFloatArray(), output.shape());
  }

  private static void decode(
      OperationCase given, Tensor input, Tensor kernel, @Nullable Tensor bias, Tensor output) {
    long[] shape = {kernel.dim(0) - 1, input.dim(1), input.dim(2)};
    Tensor state = given.allocate(input.dtype(), shape).fill(0);
    Tensor next = given.allocate(input.dtype(), shape);
    int judged = given.count("decoded_steps");
    for (long t = 0; t < input.dim(0); t++) {
      Tensor one = input.slice(t, t + 1);
      ModularConvolution.run(
          given.backend(), one, state, kernel, bias, output.slice(t, t + 1), next);
      Tensor spare = state;
      state = next;
      next = spare;
      if (t + 1 == judged) given.judge("state", state.toFloatArray(), shape);
    }
  }
}
