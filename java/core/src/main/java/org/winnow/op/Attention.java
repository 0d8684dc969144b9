package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.argument;
import static org.winnow.internal.Internals.argumentOrNull;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.AttentionArguments;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;

/**
 * Causal attention of new tokens over a key-value cache. The cache must already hold the new
 * tokens' keys and values.
 *
 * <pre>{@code
 * z[t, h, j]   = scale * sum_d query[t, h, d] * key[g, j, d]
 * output[t, h] = sum_j e^(z[t, h, j] - m) * value[g, j]
 *                / (e^(sinks[h] - m) + sum_j e^(z[t, h, j] - m))
 *
 * g = floor(h / (numHeads / numKvHeads)), the kv head of query head h
 * p = firstPosition + t, the position of token t
 * j over max(0, p - slidingWindow + 1) <= j <= p, or 0 <= j <= p without a window
 * m = the largest z[t, h, j] over j, or sinks[h] if that is larger
 * without sinks, the term with sinks[h] is absent
 * }</pre>
 *
 * Accumulates in f32, in an order that depends only on positions. So a token's result has the same
 * bits alone and in a batch, and for any number of threads. Native contract: {@code attention.h}.
 */
public final class Attention {
  private Attention() {}

  /**
   * @param query [numTokens, numHeads, keyWidth] f32; numHeads is a multiple of the cache's number
   *     of kv heads
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
      cache.pages().requireIn(memory);
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
      if (firstPosition < 0 || firstPosition > cache.written(layer) - query.dim(0)) {
        throw new IllegalArgumentException(
            "positions must lie in [0, "
                + cache.written(layer)
                + ") of layer "
                + layer
                + ", found "
                + query.dim(0)
                + " from "
                + firstPosition
                + " on");
      }
      AttentionArguments arguments = call.arguments().attention;
      cache.describe(layer, arguments);
      arguments
          .query(argument(query))
          .sinks(argumentOrNull(options.sinks()))
          .output(argument(output))
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
