package org.winnow.op;

import static org.winnow.DType.BF16;
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
import org.winnow.internal.MultiplicativeLayerArguments;
import org.winnow.internal.NativeCall;

/**
 * A linear layer whose matrix is a product of two small ones.
 *
 * <pre>{@code
 * output[t, s * moduleSize + m] =
 *     bias[s, m] + sum_i input[t, i] * moduleWeights[i, s] * columnWeights[i, m]
 * }</pre>
 *
 * Jaszczur et al. 2021, arXiv:2111.12763, section 3.2; the paper calls the weights D and E. It
 * represents every permutation of its inputs. With an output as wide as a vocabulary it is the
 * sparse output layer of the same paper. Sums are accumulated in f32; the bits depend neither on
 * the number of tokens nor on the number of threads. Native contract: {@code
 * multiplicative_layer.h}.
 */
public final class MultiplicativeLayer {
  private MultiplicativeLayer() {}

  /**
   * @param input [numTokens, inputSize], f32 or bf16
   * @param moduleWeights [inputSize, numModules], f32, bf16 or f16
   * @param columnWeights [inputSize, moduleSize], of the same type
   * @param bias [numModules, moduleSize] f32, or null for none
   * @param output [numTokens, numModules * moduleSize] f32, overwritten; must not overlap the
   *     inputs
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor input,
      Tensor moduleWeights,
      Tensor columnWeights,
      @Nullable Tensor bias,
      Tensor output) {
    NativeCall call = NativeCall.enter();
    try {
      check(backend.memory(), input, moduleWeights, columnWeights, bias, output);
      MultiplicativeLayerArguments arguments = call.arguments().multiplicativeLayer;
      arguments
          .input(argument(input))
          .moduleWeights(argument(moduleWeights))
          .columnWeights(argument(columnWeights))
          .bias(argumentOrNull(bias))
          .output(argument(output))
          .numTokens(input.dim(0))
          .inputSize(input.dim(1))
          .numModules(moduleWeights.dim(1))
          .moduleSize(columnWeights.dim(1))
          .inputType(input.dtype().code())
          .weightType(moduleWeights.dtype().code());
      Internals.kernels(backend).multiplicativeLayer(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(input);
      Reference.reachabilityFence(moduleWeights);
      Reference.reachabilityFence(columnWeights);
      Reference.reachabilityFence(bias);
      Reference.reachabilityFence(output);
    }
  }

  private static void check(
      TensorMemory memory,
      Tensor input,
      Tensor moduleWeights,
      Tensor columnWeights,
      @Nullable Tensor bias,
      Tensor output) {
    input.requireFloating("input", ANY, ANY);
    if (input.dtype() != F32 && input.dtype() != BF16)
      throw new IllegalArgumentException("input must be f32 or bf16, found " + input.dtype());
    input.requireIn("input", memory);
    moduleWeights.requireFloating("moduleWeights", input.dim(1), ANY);
    moduleWeights.requireIn("moduleWeights", memory);
    columnWeights.require("columnWeights", moduleWeights.dtype(), input.dim(1), ANY);
    columnWeights.requireIn("columnWeights", memory);
    if (bias != null) {
      bias.require("bias", F32, moduleWeights.dim(1), columnWeights.dim(1));
      bias.requireIn("bias", memory);
      output.requireDisjoint("output", "bias", bias);
    }
    long width = Math.multiplyExact(moduleWeights.dim(1), columnWeights.dim(1));
    output.require("output", F32, input.dim(0), width);
    output.requireIn("output", memory);
    output.requireDisjoint("output", "input", input);
    output.requireDisjoint("output", "moduleWeights", moduleWeights);
    output.requireDisjoint("output", "columnWeights", columnWeights);
  }
}
