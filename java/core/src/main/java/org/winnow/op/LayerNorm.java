package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.argument;
import static org.winnow.internal.Internals.argumentOrNull;

import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.Internals;
import org.winnow.internal.LayerNormArguments;
import org.winnow.internal.NativeCall;

/**
 * Layer normalisation of rows.
 *
 * <pre>{@code
 * output[r, i] = weight[i] * (input[r, i] - mean_r) / sqrt(variance_r + epsilon) + bias[i]
 * }</pre>
 *
 * Ba, Kiros and Hinton 2016, arXiv:1607.06450, eq. (3) and (4), with the biased variance. Native
 * contract: {@code layer_norm.h}.
 */
public final class LayerNorm {
  private LayerNorm() {}

  /**
   * @param input [numRows, hiddenSize] f32
   * @param weight [hiddenSize] f32
   * @param bias [hiddenSize] f32, or null for none
   * @param output [numRows, hiddenSize] f32, overwritten; may be {@code input} itself
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor input,
      Tensor weight,
      @Nullable Tensor bias,
      Tensor output,
      float epsilon) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      input.require("input", F32, ANY, ANY);
      input.requireIn("input", memory);
      weight.require("weight", F32, input.dim(1));
      weight.requireIn("weight", memory);
      if (bias != null) {
        bias.require("bias", F32, input.dim(1));
        bias.requireIn("bias", memory);
      }
      output.require("output", F32, input.dim(0), input.dim(1));
      output.requireIn("output", memory);
      if (!(epsilon >= 0))
        throw new IllegalArgumentException("epsilon must not be negative, found " + epsilon);
      LayerNormArguments arguments = call.arguments().layerNorm;
      arguments
          .input(argument(input))
          .weight(argument(weight))
          .bias(argumentOrNull(bias))
          .output(argument(output))
          .numRows(input.dim(0))
          .hiddenSize(input.dim(1))
          .epsilon(epsilon);
      Internals.kernels(backend).layerNorm(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(input);
      Reference.reachabilityFence(weight);
      Reference.reachabilityFence(bias);
      Reference.reachabilityFence(output);
    }
  }
}
