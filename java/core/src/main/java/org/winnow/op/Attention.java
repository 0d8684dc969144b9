package org.winnow.op;

import org.winnow.internal.AttentionArguments;
import static org.winnow.internal.Internals.address;
import static org.winnow.internal.Internals.addressOrNull;
import org.winnow.internal.Internals;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.NativeCall;

/**
 * Causal attention of new tokens over a key-value cache that holds their keys and values already.
 *
 * <pre>{@code
 * z[t, h, j]   = scale * sum_d query[t, h, d] * key[g, j, d],  g = floor(h / (numHeads / numKvHeads)),  p -
 * slidingWindow < j <= p = firstPosition + t
 * output[t, h] = sum_j e^(z[t, h, j] - m) * value[g, j] / (e^(sinks[h] - m) + sum_j e^(z[t, h, j] - m))
 * }</pre>
 *
 * f32 accumulation in an order that depends on positions only: a token's result has the same bits
 * whether it is computed alone or in a batch, and whatever the number of threads. Native contract:
 * {@code attention.h}.
 */
public final class Attention {
  private Attention() {}

  /**
   * @param query [numTokens, numHeads, keyWidth] f32; numHeads is a multiple of the cache's kv
   *     heads
   * @param cache holds keys and values of this layer up to position {@code firstPosition +
   *     numTokens - 1}
   * @param firstPosition position of the first token
   * @param output [numTokens, numHeads, valueWidth] f32, overwritten; must not overlap the query
   * @throws IllegalArgumentException naming the argument that is wrong; nothing has run then
   * @throws IllegalStateException if a tensor, the cache or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor query,
      KvCache cache,
      int layer,
      long firstPosition,
      AttentionOptions options,
      Tensor output) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      cache.requireLayer(layer);
      cache.requireIn(memory);
      query.require("query", F32, ANY, ANY, cache.keyWidth());
      query.requireIn("query", memory);
      output.require("output", F32, query.dim(0), query.dim(1), cache.valueWidth());
      output.requireIn("output", memory);
      output.requireDisjoint("output", "query", query);
      if (query.dim(1) % cache.numKvHeads() != 0) {
        throw new IllegalArgumentException(
            "query must have a multiple of "
                + cache.numKvHeads()
                + " heads, found "
                + query.dim(1));
      }
      if (options.sinks() != null) {
        options.sinks().require("sinks", F32, query.dim(1));
        options.sinks().requireIn("sinks", memory);
      }
      if (firstPosition < 0 || firstPosition + query.dim(0) > cache.written(layer)) {
        throw new IllegalArgumentException(
            "positions must lie in [0, "
                + cache.written(layer)
                + ") of layer "
                + layer
                + ", found ["
                + firstPosition
                + ", "
                + (firstPosition + query.dim(0))
                + ")");
      }
      AttentionArguments arguments = call.arguments().attention;
      cache.describe(layer, arguments);
      arguments
          .query(address(query))
          .sinks(addressOrNull(options.sinks()))
          .output(address(output))
          .firstPosition(firstPosition)
          .positionOffset(firstPosition - cache.length())
          .numTokens(query.dim(0))
          .numHeads(query.dim(1))
          .slidingWindow(options.slidingWindow())
          .scale(options.scale());
      Internals.kernels(backend).attention(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(query);
      Reference.reachabilityFence(cache);
      Reference.reachabilityFence(options);
      Reference.reachabilityFence(output);
    }
  }
}
