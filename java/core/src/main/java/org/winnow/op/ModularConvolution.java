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
import org.winnow.internal.ModularConvolutionArguments;
import org.winnow.internal.NativeCall;

/**
 * Convolution over positions and modules, causal along positions and centred along modules.
 *
 * <pre>{@code
 * output[t, s, o] = bias[o] + sum_a,c,m x[t - (F - 1) + a, s - G / 2 + c, m] * kernel[a, c, m, o]
 * }</pre>
 *
 * x[t] is input[t] from 0 on, before that the state's rows; modules outside are 0. F and G are the
 * kernel's first two extents. Jaszczur et al. 2021, arXiv:2111.12763, section 3.2. The bits depend
 * neither on the number of threads nor on how positions are divided into calls. Native contract:
 * {@code modular_convolution.h}.
 */
public final class ModularConvolution {
  private ModularConvolution() {}

  /**
   * @param input [numTokens, numModules, moduleSize], f32 or bf16
   * @param state [F - 1, numModules, moduleSize] of the input's type: what came before; null for
   *     zeros
   * @param kernel [F, G, moduleSize, outputSize], f32, bf16 or f16; G is odd
   * @param bias [outputSize] f32, or null for none
   * @param output [numTokens, numModules, outputSize] f32, overwritten; must not overlap the inputs
   * @param nextState [F - 1, numModules, moduleSize] of the input's type: gets the state of the
   *     next call; must not overlap the inputs; null if it is not wanted
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor input,
      @Nullable Tensor state,
      Tensor kernel,
      @Nullable Tensor bias,
      Tensor output,
      @Nullable Tensor nextState) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      check(memory, input, kernel, bias, output);
      requireState("state", state, input, kernel, memory);
      requireState("nextState", nextState, input, kernel, memory);
      if (state != null) output.requireDisjoint("output", "state", state);
      if (nextState != null) {
        nextState.requireDisjoint("nextState", "input", input);
        nextState.requireDisjoint("nextState", "output", output);
        if (state != null) nextState.requireDisjoint("nextState", "state", state);
      }
      ModularConvolutionArguments arguments = call.arguments().modularConvolution;
      arguments
          .input(argument(input))
          .state(argumentOrNull(state))
          .kernel(argument(kernel))
          .bias(argumentOrNull(bias))
          .output(argument(output))
          .nextState(argumentOrNull(nextState))
          .numTokens(input.dim(0))
          .numModules(input.dim(1))
          .moduleSize(input.dim(2))
          .lengthKernel(kernel.dim(0))
          .moduleKernel(kernel.dim(1))
          .outputSize(kernel.dim(3))
          .inputType(input.dtype().code())
          .weightType(kernel.dtype().code());
      Internals.kernels(backend).modularConvolution(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(input);
      Reference.reachabilityFence(state);
      Reference.reachabilityFence(kernel);
      Reference.reachabilityFence(bias);
      Reference.reachabilityFence(output);
      Reference.reachabilityFence(nextState);
    }
  }

  private static void check(
      TensorMemory memory, Tensor input, Tensor kernel, @Nullable Tensor bias, Tensor output) {
    input.requireFloating("input", new long[] {ANY, ANY, ANY});
    if (input.dtype() != F32 && input.dtype() != BF16)
      throw new IllegalArgumentException("input must be f32 or bf16, found " + input.dtype());
    if (input.dim(1) < 1 || input.dim(2) < 1)
      throw new IllegalArgumentException(
          "input must have at least one module and one element, found " + input);
    input.requireIn("input", memory);
    kernel.requireFloating("kernel", new long[] {ANY, ANY, input.dim(2), ANY});
    kernel.requireIn("kernel", memory);
    if (kernel.dim(0) < 1 || kernel.dim(1) % 2 != 1)
      throw new IllegalArgumentException(
          "kernel must cover at least one position and an odd number of modules, found " + kernel);
    if (bias != null) {
      bias.require("bias", F32, kernel.dim(3));
      bias.requireIn("bias", memory);
      output.requireDisjoint("output", "bias", bias);
    }
    output.require("output", F32, input.dim(0), input.dim(1), kernel.dim(3));
    output.requireIn("output", memory);
    output.requireDisjoint("output", "input", input);
    output.requireDisjoint("output", "kernel", kernel);
  }

  private static void requireState(
      String name, @Nullable Tensor state, Tensor input, Tensor kernel, TensorMemory memory) {
    if (state == null) return;
    state.require(name, input.dtype(), kernel.dim(0) - 1, input.dim(1), input.dim(2));
    state.requireIn(name, memory);
  }
}
