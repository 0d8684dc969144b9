package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.attention.RopeFrequencies;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.RopeArguments;

/**
 * Rotary position embedding in place: rotates pair i of each head's rotary part by the angle of the
 * token's position.
 *
 * <pre>{@code
 * first'  = first * cos[t, i] - second * sin[t, i]
 * second' = second * cos[t, i] + first * sin[t, i]
 * }</pre>
 *
 * Su et al. 2021, arXiv:2104.09864, eq. (34). Native contract: {@code rope.h}.
 */
public final class Rope {
  /** Which elements of the rotary part form a pair. */
  public enum Layout {
    /** Elements i and i + numPairs: Llama, Mixtral, Qwen, OLMoE, gpt-oss. */
    HALF_SPLIT,
    /** Elements 2i and 2i + 1: DeepSeek's latent attention. */
    INTERLEAVED
  }

  private Rope() {}

  /**
   * @param values [numTokens, numHeads, headDim] f32, overwritten
   * @param cos [numTokens, numPairs] f32, from {@link RopeFrequencies#angles}
   * @param sin [numTokens, numPairs] f32, from {@link RopeFrequencies#angles}
   * @param rotaryOffset first element of the rotary part in a head; it has 2 * numPairs elements,
   *     and the rest of the head is unchanged
   * @throws IllegalArgumentException naming the argument that is wrong; nothing has run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void run(
      Backend backend, Tensor values, Tensor cos, Tensor sin, int rotaryOffset, Layout layout) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      check(memory, "values", values, cos, sin, rotaryOffset);
      RopeArguments arguments = call.arguments().rope[0];
      describe(arguments, values, cos, sin, rotaryOffset, layout);
      Internals.kernels(backend).rope(arguments.next(null));
    } finally {
      call.exit();
      Reference.reachabilityFence(values);
      Reference.reachabilityFence(cos);
      Reference.reachabilityFence(sin);
    }
  }

  /**
   * Rotates two tensors in one call, such as the queries and keys of the same tokens.
   *
   * @param queries [numTokens, numHeads, headDim] f32, overwritten
   * @param keys [numTokens, any number of heads, any headDim] f32, overwritten; must not overlap
   *     the queries
   * @param cos as for one tensor
   * @param sin as for one tensor
   * @param rotaryOffset as for one tensor, of both
   * @throws IllegalArgumentException naming the argument that is wrong; nothing has run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor queries,
      Tensor keys,
      Tensor cos,
      Tensor sin,
      int rotaryOffset,
      Layout layout) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      check(memory, "queries", queries, cos, sin, rotaryOffset);
      check(memory, "keys", keys, cos, sin, rotaryOffset);
      keys.requireDisjoint("keys", "queries", queries);
      RopeArguments[] both = call.arguments().rope;
      describe(both[0], queries, cos, sin, rotaryOffset, layout);
      describe(both[1], keys, cos, sin, rotaryOffset, layout);
      Internals.kernels(backend).rope(both[0].next(both[1].next(null)));
    } finally {
      call.exit();
      Reference.reachabilityFence(queries);
      Reference.reachabilityFence(keys);
      Reference.reachabilityFence(cos);
      Reference.reachabilityFence(sin);
    }
  }

  private static void check(
      TensorMemory memory, String name, Tensor values, Tensor cos, Tensor sin, int rotaryOffset) {
    values.require(name, F32, ANY, ANY, ANY);
    values.requireIn(name, memory);
    cos.require("cos", F32, values.dim(0), ANY);
    cos.requireIn("cos", memory);
    sin.require("sin", F32, cos.dim(0), cos.dim(1));
    sin.requireIn("sin", memory);
    if (rotaryOffset < 0 || rotaryOffset + 2 * cos.dim(1) > values.dim(2)) {
      throw new IllegalArgumentException(
          "rotary part must lie in [0, "
              + values.dim(2)
              + "), found ["
              + rotaryOffset
              + ", "
              + (rotaryOffset + 2 * cos.dim(1))
              + ")");
    }
  }

  private static void describe(
      RopeArguments arguments,
      Tensor values,
      Tensor cos,
      Tensor sin,
      int rotaryOffset,
      Layout layout) {
    arguments
        .values(argument(values))
        .cos(argument(cos))
        .sin(argument(sin))
        .numTokens(values.dim(0))
        .numHeads(values.dim(1))
        .headDim(values.dim(2))
        .rotaryOffset(rotaryOffset)
        .numPairs(cos.dim(1))
        .interleaved(layout == Layout.INTERLEAVED ? 1 : 0);
  }
}
