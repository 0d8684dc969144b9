package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.ThresholdedLinearArguments;

/**
 * Linear map that reads only the rows of weights whose input is large. Liu et al. 2024, TEAL,
 * arXiv:2408.14690, section 4.
 *
 * <pre>{@code
 * output[t, j] = bias[j] + sum_i input[t, i] * weight[i, j]   for i with |input[t, i]| > threshold
 * }</pre>
 *
 * Weights have a row per input: the transposed form of {@link org.winnow.layer.Linear}. A token's
 * bits do not depend on the other tokens or the number of threads. Native contract: {@code
 * thresholded_linear.h}.
 */
public final class ThresholdedLinear {
  private ThresholdedLinear() {}

  /**
   * @param input [numTokens, inputSize] f32
   * @param weight [inputSize, outputSize], f32, bf16 or f16
   * @param bias [outputSize] f32, or null
   * @param threshold not negative; 0 loses nothing. An input that equals it is left out
   * @param output [numTokens, outputSize] f32, overwritten; must not overlap the inputs
   * @throws IllegalArgumentException naming the argument whose shape, type or memory is wrong, or a
   *     negative threshold; nothing has run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor input,
      Tensor weight,
      @Nullable Tensor bias,
      float threshold,
      Tensor output) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      if (!(threshold >= 0))
        throw new IllegalArgumentException("threshold must not be negative, found " + threshold);
      weight.requireFloating("weight", ANY, ANY);
      weight.requireIn("weight", memory);
      input.require("input", F32, ANY, weight.dim(0));
      input.requireIn("input", memory);
      output.require("output", F32, input.dim(0), weight.dim(1));
      output.requireIn("output", memory);
      output.requireDisjoint("output", "input", input);
      output.requireDisjoint("output", "weight", weight);
      long biasAddress = 0;
      if (bias != null) {
        bias.require("bias", F32, weight.dim(1));
        bias.requireIn("bias", memory);
        output.requireDisjoint("output", "bias", bias);
        biasAddress = argument(bias);
      }
      if (weight.dim(0) > Integer.MAX_VALUE)
        throw new IllegalArgumentException(
            "weight must have at most " + Integer.MAX_VALUE + " rows, found " + weight);
      ThresholdedLinearArguments arguments = call.arguments().thresholdedLinear;
      arguments
          .input(argument(input))
          .weight(argument(weight))
          .bias(biasAddress)
          .output(argument(output))
          .numTokens(input.dim(0))
          .inputSize(weight.dim(0))
          .outputSize(weight.dim(1))
          .weightFormat(WeightFormat.of(weight.dtype()).code())
          .threshold(threshold);
      if (weight.dim(1) > 0) Internals.kernels(backend).thresholdedLinear(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(input);
      Reference.reachabilityFence(weight);
      Reference.reachabilityFence(bias);
      Reference.reachabilityFence(output);
    }
  }
}
