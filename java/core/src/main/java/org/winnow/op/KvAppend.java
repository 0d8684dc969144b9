package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.internal.KvAppendArguments;
import org.winnow.internal.NativeCall;

/**
 * Writes new tokens' rows into a plane's pages, at positions from firstPosition on, rounded to the
 * plane's element. {@link KvCache#append} checks and calls it.
 *
 * <pre>{@code
 * row(h, p) = rows[t, h]   p = firstPosition + t, t in [0, numTokens), h in [0, numHeads)
 * }</pre>
 *
 * Native contract: {@code kv_append.h}.
 */
final class KvAppend {
  private KvAppend() {}

  /**
   * @param rows [numTokens, numHeads, width] f32
   * @param plane index of the plane
   * @param firstPosition {@link KvCache#length()} when {@link KvCache#reserve} made room
   * @throws IllegalArgumentException if the rows or the cache lie in another memory, or no room is
   *     reserved for them; nothing has run then
   * @throws IllegalStateException if the rows, the cache or the backend is closed
   */
  static void run(
      Backend backend, Tensor rows, KvCache cache, int layer, int plane, int firstPosition) {
    NativeCall call = NativeCall.enter();
    try {
      int numTokens = check(backend, rows, cache, layer, firstPosition);
      checkRows(backend, rows, cache, plane, numTokens);
      if (numTokens == 0) return;
      KvAppendArguments arguments = call.arguments().kvAppend[0];
      cache.describe(layer, plane, firstPosition, arguments);
      arguments.source(argument(rows)).numTokens(numTokens);
      Internals.kernels(backend).kvAppend(arguments.next(null));
    } finally {
      call.exit();
      Reference.reachabilityFence(rows);
      Reference.reachabilityFence(cache);
    }
  }

  /** As {@link #run}, of both planes of a cache of keys and values in one call. */
  static void runBoth(
      Backend backend, Tensor keys, Tensor values, KvCache cache, int layer, int firstPosition) {
    NativeCall call = NativeCall.enter();
    try {
      int numTokens = check(backend, keys, cache, layer, firstPosition);
      checkRows(backend, keys, cache, 0, numTokens);
      checkRows(backend, values, cache, 1, numTokens);
      if (numTokens == 0) return;
      KvAppendArguments[] both = call.arguments().kvAppend;
      cache.describe(layer, firstPosition, both[0], both[1]);
      both[0].source(argument(keys)).numTokens(numTokens);
      both[1].source(argument(values)).numTokens(numTokens);
      Internals.kernels(backend).kvAppend(both[0].next(both[1].next(null)));
    } finally {
      call.exit();
      Reference.reachabilityFence(keys);
      Reference.reachabilityFence(values);
      Reference.reachabilityFence(cache);
    }
  }

  /** Returns the number of tokens. */
  private static int check(
      Backend backend, Tensor rows, KvCache cache, int layer, int firstPosition) {
    cache.requireLayer(layer);
    cache.pages().requireIn(backend.memory());
    int numTokens = Math.toIntExact(rows.dim(0));
    cache.pages().requireRoom(firstPosition, numTokens);
    return numTokens;
  }

  private static void checkRows(
      Backend backend, Tensor rows, KvCache cache, int plane, int numTokens) {
    KvPlane target = cache.pages().plane(plane);
    rows.require(target.name(), F32, numTokens, target.numHeads(), target.width());
    rows.requireIn(target.name(), backend.memory());
  }
}
