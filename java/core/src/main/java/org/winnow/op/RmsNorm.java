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
import org.winnow.internal.NativeCall;
import org.winnow.internal.RmsNormArguments;

/**
 * Root-mean-square normalisation of rows.
 *
 * <pre>{@code
 * output[r, i] = weight[i] * input[r, i] / sqrt(mean_i(input[r, i]^2) + epsilon)
 * }</pre>
 *
 * Zhang and Sennrich 2019, arXiv:1910.07467, eq. (4), with epsilon inside the root. Native
 * contract: {@code rms_norm.h}.
 */
public final class RmsNorm {
  private RmsNorm() {}

  /**
   * @param input [numRows, hiddenSize] f32
   * @param weight [hiddenSize] f32
   * @param output [numRows, hiddenSize] f32, overwritten; may be {@code input} itself
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void run(
      Backend backend, Tensor input, Tensor weight, Tensor output, float epsilon) {
    run(backend, input, null, weight, output, epsilon);
  }

  /**
   * Adds, then normalises the sum, as {@link Add#run} and {@link #run} would do one after the
   * other: the residual connection and the norm that follows it.
   *
   * @param accumulator [numRows, hiddenSize] f32, overwritten with {@code accumulator + addend}
   * @param addend [numRows, hiddenSize] f32; must not overlap the accumulator
   * @param weight [hiddenSize] f32; must not overlap the accumulator
   * @param output [numRows, hiddenSize] f32, overwritten; must not overlap another argument
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void runOnSum(
      Backend backend,
      Tensor accumulator,
      Tensor addend,
      Tensor weight,
      Tensor output,
      float epsilon) {
    output.requireDisjoint("output", "accumulator", accumulator);
    output.requireDisjoint("output", "addend", addend);
    output.requireDisjoint("output", "weight", weight);
    accumulator.requireDisjoint("accumulator", "addend", addend);
    accumulator.requireDisjoint("accumulator", "weight", weight);
    run(backend, accumulator, addend, weight, output, epsilon);
  }

  private static void run(
      Backend backend,
      Tensor input,
      @Nullable Tensor addend,
      Tensor weight,
      Tensor output,
      float epsilon) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      String inputName = addend == null ? "input" : "accumulator";
      input.require(inputName, F32, ANY, ANY);
      input.requireIn(inputName, memory);
      if (addend != null) {
        addend.require("addend", F32, input.dim(0), input.dim(1));
        addend.requireIn("addend", memory);
      }
      weight.require("weight", F32, input.dim(1));
      weight.requireIn("weight", memory);
      output.require("output", F32, input.dim(0), input.dim(1));
      output.requireIn("output", memory);
      if (!(epsilon >= 0))
        throw new IllegalArgumentException("epsilon must not be negative, found " + epsilon);
      RmsNormArguments arguments = call.arguments().rmsNorm;
      arguments
          .input(argument(input))
          .addend(argumentOrNull(addend))
          .weight(argument(weight))
          .output(argument(output))
          .numRows(input.dim(0))
          .hiddenSize(input.dim(1))
          .rowStride(input.dim(1))
          .epsilon(epsilon);
      Internals.kernels(backend).rmsNorm(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(input);
      Reference.reachabilityFence(addend);
      Reference.reachabilityFence(weight);
      Reference.reachabilityFence(output);
    }
  }
}
