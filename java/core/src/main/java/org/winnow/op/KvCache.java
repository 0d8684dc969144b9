package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.DType.I64;
import static org.winnow.internal.Internals.address;

import java.util.Arrays;
import java.util.Objects;
import org.winnow.Backend;
import org.winnow.ContextLengthException;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.AttentionArguments;
import org.winnow.internal.KvAppendArguments;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;

/**
 * Keys and values of one sequence for all layers, outside the Java heap. The cache grows by pages
 * of {@link #PAGE_TOKENS} tokens.
 *
 * <p>A step appends the new tokens' keys and values to every layer, runs attention in each, and
 * calls {@link #advance} at the end. A step that fails before {@link #advance} leaves the sequence
 * unchanged. For one thread at a time, except that any thread may call {@link #close()}.
 *
 * <p>Memory: {@code numLayers * numKvHeads * (keyWidth + valueWidth) * 4} bytes per token, rounded
 * up to a page; a latent cache needs {@code numLayers * keyWidth * 4}.
 */
public final class KvCache implements AutoCloseable {
  /** Tokens per page. */
  public static final int PAGE_TOKENS = 64;

  private final Resources open = new Resources();
  private final int numKvHeads; // pages has these three too; calls read them here
  private final int keyWidth;
  private final int valueWidth;
  private final int contextLimit;
  private final KvPages pages;
  private final MirroredTensor position; // the length, in a cell that operations read
  private final long[] written; // number of positions in each layer
  private int length;
  private volatile boolean closed;

  /**
   * @param contextLimit the maximum number of tokens of the sequence
   * @throws IllegalArgumentException naming the number that is not positive
   */
  public KvCache(int numLayers, int numKvHeads, int keyWidth, int valueWidth, int contextLimit) {
    this(TensorMemory.host(), numLayers, numKvHeads, keyWidth, valueWidth, contextLimit);
  }

  /** As the other constructor, in the memory of the backend that uses the cache. */
  public KvCache(
      TensorMemory memory,
      int numLayers,
      int numKvHeads,
      int keyWidth,
      int valueWidth,
      int contextLimit) {
    this(memory, numLayers, numKvHeads, keyWidth, valueWidth, contextLimit, false);
  }

  /**
   * A cache of latents for multi-head latent attention: one row (c, k_rope) per token, shared by
   * all heads. The key is the whole row, the value its first {@code latentWidth} elements.
   *
   * @param latentWidth width of c, {@code kv_lora_rank}
   * @param ropeWidth width of k_rope
   */
  public static KvCache ofLatents(int numLayers, int latentWidth, int ropeWidth, int contextLimit) {
    return ofLatents(TensorMemory.host(), numLayers, latentWidth, ropeWidth, contextLimit);
  }

  /**
   * As {@link #ofLatents(int, int, int, int)}, in the memory of the backend that uses the cache.
   */
  public static KvCache ofLatents(
      TensorMemory memory, int numLayers, int latentWidth, int ropeWidth, int contextLimit) {
    return new KvCache(
        memory,
        numLayers,
        1,
        KvPages.rowWidth(latentWidth, ropeWidth),
        latentWidth,
        contextLimit,
        true);
  }

  private KvCache(
      TensorMemory memory,
      int numLayers,
      int numKvHeads,
      int keyWidth,
      int valueWidth,
      int contextLimit,
      boolean latent) {
    this.numKvHeads = numKvHeads;
    this.keyWidth = keyWidth;
    this.valueWidth = valueWidth;
    this.contextLimit = contextLimit;
    try {
      pages =
          open.keep(
              new KvPages(
                  memory, numLayers, numKvHeads, keyWidth, valueWidth, contextLimit, latent));
      position = open.keep(new MirroredTensor(memory, I64, 1));
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
    written = new long[numLayers];
  }

  public int numLayers() {
    return pages.numLayers;
  }

  public int numKvHeads() {
    return numKvHeads;
  }

  public int keyWidth() {
    return keyWidth;
  }

  public int valueWidth() {
    return valueWidth;
  }

  /** The memory that holds keys and values. */
  public TensorMemory memory() {
    return pages.memory();
  }

  /** Whether this is a cache of latents, made by {@link #ofLatents}. */
  public boolean isLatent() {
    return pages.latent;
  }

  public int contextLimit() {
    return contextLimit;
  }

  /** Number of tokens of the sequence, and so the position of the next token. */
  public int length() {
    return length;
  }

  /**
   * Number of positions in a layer: the length plus the tokens appended since the last {@link
   * #advance}.
   *
   * @throws IndexOutOfBoundsException if there is no such layer
   */
  public long written(int layer) {
    return written[Objects.checkIndex(layer, pages.numLayers)];
  }

  /** Bytes of the pages allocated so far. */
  public synchronized long sizeBytes() {
    return pages.sizeBytes();
  }

  /** Fills the part of attention's arguments that describes a layer of this cache. */
  void describe(int layer, AttentionArguments arguments) {
    long cacheLength = address(positionCell()); // before the struct's buffer is loaded
    pages.describe(layer, arguments);
    arguments.cacheLength(cacheLength).contextLimit(contextLimit);
  }

  /** As {@link #describe(int, AttentionArguments)}, of an append of keys or values. */
  void describe(int layer, boolean values, int firstPosition, KvAppendArguments arguments) {
    long cacheLength = address(positionCell());
    pages.describe(layer, values, arguments);
    arguments.cacheLength(cacheLength).firstPosition(firstPosition);
  }

  /** Number of elements between the values of two consecutive positions of one head. */
  public int valueRowStride() {
    return pages.valueRowStride();
  }

  /**
   * Makes room for tokens after the current length.
   *
   * @throws ContextLengthException if the sequence would exceed its limit; nothing has changed then
   * @throws org.winnow.BudgetException if the backend's memory budget is exceeded; pages allocated
   *     so far are kept
   * @throws IllegalStateException after {@link #close()}
   */
  public void reserve(int numTokens) {
    reserveFromHere(numTokens);
  }

  /** As {@link #reserve}; returns the length from which on there is room. */
  private synchronized int reserveFromHere(int numTokens) {
    requireOpen();
    requireNotNegative(numTokens);
    if ((long) length + numTokens > contextLimit)
      throw new ContextLengthException(contextLimit, (long) length + numTokens);
    pages.grow((long) length + numTokens);
    return length;
  }

  /**
   * Makes room for the tokens that follow {@link #length()}, then writes their keys and values.
   *
   * @param keys [numTokens, numKvHeads, keyWidth] f32
   * @param values [numTokens, numKvHeads, valueWidth] f32
   * @throws ContextLengthException if the sequence would pass its limit
   * @throws IllegalArgumentException naming the argument that is wrong; nothing has been written
   *     then
   * @throws IllegalStateException if a tensor, the cache or the backend is closed, or for a cache
   *     of latents
   */
  public void append(Backend backend, int layer, Tensor keys, Tensor values) {
    requireLayer(layer);
    if (pages.latent)
      throw new IllegalStateException(
          "a cache of latents holds no separate values: use appendLatents");
    keys.require("keys", F32, Tensor.ANY, numKvHeads, keyWidth);
    values.require("values", F32, keys.dim(0), numKvHeads, valueWidth);
    int numTokens = Math.toIntExact(keys.dim(0));
    int first = reserveFromHere(numTokens); // asked once: another thread may change the length
    long keyStride = (long) numKvHeads * keyWidth;
    long valueStride = (long) numKvHeads * valueWidth;
    NativeCall call = NativeCall.enter(); // one for both
    try {
      values.requireIn("values", backend.memory()); // before the keys are written
      KvAppend.run(
          backend, keys, 0, keyStride, keyWidth, this, layer, false, first, 0, keyWidth, numTokens);
      KvAppend.run(
          backend,
          values,
          0,
          valueStride,
          valueWidth,
          this,
          layer,
          true,
          first,
          0,
          valueWidth,
          numTokens);
    } finally {
      call.exit();
    }
    written[layer] = first + (long) numTokens;
  }

  /**
   * Makes room for the tokens that follow {@link #length()}, then writes their latents.
   *
   * @param latents [numTokens, latentWidth] f32: c
   * @param ropeKeys [numTokens, any] f32; the last ropeWidth columns are k_rope
   * @throws ContextLengthException if the sequence would pass its limit
   * @throws IllegalArgumentException naming the argument that is wrong; nothing has been written
   *     then
   * @throws IllegalStateException if a tensor, the cache or the backend is closed, or for a cache
   *     of keys and values
   */
  public void appendLatents(Backend backend, int layer, Tensor latents, Tensor ropeKeys) {
    requireLayer(layer);
    if (!pages.latent)
      throw new IllegalStateException("a cache of keys and values holds no latents: use append");
    int ropeWidth = keyWidth - valueWidth;
    latents.require("latents", F32, Tensor.ANY, valueWidth);
    ropeKeys.require("ropeKeys", F32, latents.dim(0), Tensor.ANY);
    if (ropeKeys.dim(1) < ropeWidth)
      throw new IllegalArgumentException(
          "ropeKeys must have " + ropeWidth + " columns, found " + ropeKeys.dim(1));
    int numTokens = Math.toIntExact(latents.dim(0));
    int first = reserveFromHere(numTokens); // asked once: another thread may change the length
    NativeCall call = NativeCall.enter(); // one for both
    try {
      ropeKeys.requireIn("ropeKeys", backend.memory()); // before the latents are written
      KvAppend.run(
          backend, latents, 0, valueWidth, 0, this, layer, false, first, 0, valueWidth, numTokens);
      KvAppend.run(
          backend,
          ropeKeys,
          ropeKeys.dim(1) - ropeWidth,
          ropeKeys.dim(1),
          0,
          this,
          layer,
          false,
          first,
          valueWidth,
          ropeWidth,
          numTokens);
    } finally {
      call.exit();
    }
    written[layer] = first + (long) numTokens;
  }

  /**
   * Ends a step: adds its tokens to the length.
   *
   * @throws IllegalArgumentException if numTokens is negative
   * @throws IllegalStateException if a layer does not hold them all
   */
  public synchronized void advance(int numTokens) {
    requireOpen();
    requireNotNegative(numTokens);
    for (int layer = 0; layer < pages.numLayers; layer++) {
      if (written[layer] != length + (long) numTokens) {
        throw new IllegalStateException(
            "layer "
                + layer
                + " must hold "
                + (length + (long) numTokens)
                + " positions, found "
                + written[layer]);
      }
    }
    setLength(length + numTokens);
  }

  /**
   * As {@link #advance}, after a captured step has written the tokens into every layer.
   *
   * @throws IllegalArgumentException if numTokens is negative
   * @throws IllegalStateException if {@link #reserve} has not made room for them
   */
  public synchronized void advanceCaptured(int numTokens) {
    requireOpen();
    requireNotNegative(numTokens);
    long roomTokens = pages.roomTokens();
    if (roomTokens < (long) length + numTokens)
      throw new IllegalStateException(
          "cache has room for " + roomTokens + " tokens: reserve before");
    Arrays.fill(written, (long) length + numTokens);
    setLength(length + numTokens);
  }

  /**
   * Removes all tokens from a position on. The pages stay allocated.
   *
   * @throws IllegalArgumentException unless {@code 0 <= newLength <= length()}
   */
  public synchronized void truncate(int newLength) {
    requireOpen();
    if (newLength < 0 || newLength > length)
      throw new IllegalArgumentException(
          "newLength must lie in [0, " + length + "], found " + newLength);
    setLength(newLength);
    Arrays.fill(written, newLength);
  }

  /** Waits for running operations, then frees all pages. May be called twice. */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) return;
      NativeCall.requireOutside();
      closed = true;
    }
    open.close();
  }

  void requireLayer(int layer) {
    requireOpen();
    if (layer < 0 || layer >= pages.numLayers)
      throw new IllegalArgumentException(
          "layer must lie in [0, " + pages.numLayers + "), found " + layer);
  }

  private static void requireNotNegative(int numTokens) {
    if (numTokens < 0)
      throw new IllegalArgumentException("numTokens must not be negative, found " + numTokens);
  }

  /** A cell [1] i64 that holds {@link #length()}. */
  Tensor positionCell() {
    return position.tensor();
  }

  KvPages pages() {
    return pages;
  }

  private void setLength(int newLength) {
    if (newLength == length) return;
    position.longs().put(0, newLength);
    try {
      position.fromHost();
    } catch (RuntimeException | Error e) { // for instance inside a step that is being captured
      position.longs().put(0, length);
      throw e;
    }
    length = newLength;
  }

  private void requireOpen() {
    if (closed) throw new IllegalStateException("cache is closed");
  }
}
