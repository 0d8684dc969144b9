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

  /**
   * Normalises two tensors in place in one call, such as the queries and keys of the same tokens.
   *
   * @param first [numRows, hiddenSize] f32, overwritten
   * @param firstWeight [hiddenSize] f32
   * @param second [any number of rows, any size] f32, overwritten; must not overlap the first
   *     tensor or its weight
   * @param secondWeight f32, of the size of the second tensor's rows; must not overlap the first
   *     tensor
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void runBoth(
      Backend backend,
      Tensor first,
      Tensor firstWeight,
      Tensor second,
      Tensor secondWeight,
      float epsilon) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      check(memory, "first", first, "firstWeight", firstWeight, epsilon);
      check(memory, "second", second, "secondWeight", secondWeight, epsilon);
      second.requireDisjoint("second", "first", first);
      second.requireDisjoint("second", "firstWeight", firstWeight);
      first.requireDisjoint("first", "secondWeight", secondWeight);
      RmsNormArguments[] both = call.arguments().rmsNorm;
      describe(both[0], first, null, firstWeight, first, epsilon);
      describe(both[1], second, null, secondWeight, second, epsilon);
      Internals.kernels(backend).rmsNorm(both[0].next(both[1].next(null)));
    } finally {
      call.exit();
      Reference.reachabilityFence(first);
      Reference.reachabilityFence(firstWeight);
      Reference.reachabilityFence(second);
      Reference.reachabilityFence(secondWeight);
    }
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
      check(memory, addend == null ? "input" : "accumulator", input, "weight", weight, epsilon);
      if (addend != null) {
        addend.require("addend", F32, input.dim(0), input.dim(1));
        addend.requireIn("addend", memory);
      }
      output.require("output", F32, input.dim(0), input.dim(1));
      output.requireIn("output", memory);
      RmsNormArguments arguments = call.arguments().rmsNorm[0];
      describe(arguments, input, addend, weight, output, epsilon);
      Internals.kernels(backend).rmsNorm(arguments.next(null));
    } finally {
      call.exit();
      Reference.reachabilityFence(input);
      Reference.reachabilityFence(addend);
      Reference.reachabilityFence(weight);
      Reference.reachabilityFence(output);
    }
  }

  private static void check(
      TensorMemory memory,
      String name,
      Tensor input,
      String weightName,
      Tensor weight,
      float epsilon) {
    input.require(name, F32, ANY, ANY);
    input.requireIn(name, memory);
    weight.require(weightName, F32, input.dim(1));
    weight.requireIn(weightName, memory);
    if (!(epsilon >= 0))
      throw new IllegalArgumentException("epsilon must not be negative, found " + epsilon);
  }

  private static void describe(
      RmsNormArguments arguments,
      Tensor input,
      @Nullable Tensor addend,
      Tensor weight,
      Tensor output,
      float epsilon) {
    arguments
        .input(argument(input))
        .addend(argumentOrNull(addend))
        .weight(argument(weight))
        .output(argument(output))
        .numRows(input.dim(0))
        .hiddenSize(input.dim(1))
        .rowStride(input.dim(1))
        .epsilon(epsilon);
  }
}
