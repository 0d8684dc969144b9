package org.winnow.op;

import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.internal.KvAppendArguments;
import org.winnow.internal.NativeCall;

/**
 * Writes columns of new tokens' rows into the pages of a cache, at positions from firstPosition on.
 * {@link KvCache#append} and {@link KvCache#appendLatents} consist of such calls.
 *
 * <pre>{@code
 * row(h, p)[column + c] = source[sourceOffset + t * tokenStride + h * headStride + c],  p = firstPosition + t
 * for t in [0, numTokens), h in [0, numKvHeads), c in [0, width)
 * }</pre>
 *
 * Native contract: {@code kv_append.h}.
 */
final class KvAppend {
  private KvAppend() {}

  /**
   * Offset and strides count elements of the flat tensor; none is negative.
   *
   * @param source f32, of any shape; with a head stride of 0 every head gets the same row
   * @param cache the cache; {@link KvCache#reserve} has made room for the tokens
   * @param values true to write values, false to write keys; in a cache of latents both are the
   *     same rows
   * @param firstPosition the position of the first token, {@link KvCache#length()} when room was
   *     made
   * @param column first column to write in the cache's row
   * @throws IllegalArgumentException if a type is wrong, or the rows do not lie inside the source
   *     or the cache; nothing has run then
   * @throws IllegalStateException if the source, the cache or the backend is closed
   */
  static void run(
      Backend backend,
      Tensor source,
      long sourceOffset,
      long tokenStride,
      long headStride,
      KvCache cache,
      int layer,
      boolean values,
      int firstPosition,
      int column,
      int width,
      int numTokens) {
    NativeCall call = NativeCall.enter();
    try {
      cache.requireLayer(layer);
      cache.pages().requireRoom(firstPosition, numTokens);
      int rowWidth = values ? cache.valueRowStride() : cache.keyWidth();
      if (column < 0 || width < 0 || column > rowWidth - width) {
        throw new IllegalArgumentException(
            "columns must lie in [0, "
                + rowWidth
                + "), found ["
                + column
                + ", "
                + (column + (long) width)
                + ")");
      }
      boolean empty = numTokens == 0 || width == 0;
      StridedCopy.requireInside(
          "source",
          source,
          sourceOffset,
          tokenStride,
          headStride,
          numTokens,
          cache.numKvHeads(),
          width,
          empty);
      source.requireIn("source", backend.memory());
      cache.pages().requireIn(backend.memory());
      if (empty) return;
      KvAppendArguments arguments = call.arguments().kvAppend;
      cache.describe(layer, values, firstPosition, arguments);
      arguments
          .source(argument(source) + sourceOffset * Float.BYTES)
          .tokenStride(tokenStride)
          .headStride(headStride)
          .numTokens(numTokens)
          .column(column)
          .width(width);
      Internals.kernels(backend).kvAppend(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(source);
      Reference.reachabilityFence(cache);
    }
  }
}
