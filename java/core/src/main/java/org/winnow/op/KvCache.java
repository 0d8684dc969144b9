package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.DType.I64;
import static org.winnow.internal.Internals.address;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.winnow.Backend;
import org.winnow.ContextLengthException;
import org.winnow.DType;
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
 * <p>The cache is made of {@link KvPlane}s: keys and values, or latents. Memory: {@link
 * #bytesPerToken()} per token, rounded up to a page.
 */
public final class KvCache implements AutoCloseable {
  /** Tokens per page. */
  public static final int PAGE_TOKENS = 64;

  private final Resources open = new Resources();
  private final int valueWidth;
  private final int contextLimit;
  private final KvPages pages;
  private final MirroredTensor position; // the length, in a cell that operations read
  private final long[][] written; // number of positions of each plane in each layer
  private int length;
  private volatile boolean closed;

  /**
   * Keys and values of f32 in host memory.
   *
   * @param contextLimit the maximum number of tokens of the sequence
   * @throws IllegalArgumentException naming the number that is not positive
   */
  public KvCache(int numLayers, int numKvHeads, int keyWidth, int valueWidth, int contextLimit) {
    this(TensorMemory.host(), F32, numLayers, numKvHeads, keyWidth, valueWidth, contextLimit);
  }

  /**
   * As the other constructor, in the memory of the backend that uses the cache.
   *
   * @param element f32, bf16 or f16. With bf16, attention also rounds queries and weights to bf16
   */
  public KvCache(
      TensorMemory memory,
      DType element,
      int numLayers,
      int numKvHeads,
      int keyWidth,
      int valueWidth,
      int contextLimit) {
    this(
        memory,
        numLayers,
        List.of(
            new KvPlane("keys", numKvHeads, keyWidth, element),
            new KvPlane("values", numKvHeads, valueWidth, element)),
        valueWidth,
        contextLimit);
  }

  /**
   * A cache of latents for multi-head latent attention: one row (c, k_rope) per token, shared by
   * all heads. The key is the whole row, the value its first {@code latentWidth} elements.
   *
   * @param latentWidth width of c, {@code kv_lora_rank}
   * @param ropeWidth width of k_rope
   */
  public static KvCache ofLatents(int numLayers, int latentWidth, int ropeWidth, int contextLimit) {
    return ofLatents(TensorMemory.host(), F32, numLayers, latentWidth, ropeWidth, contextLimit);
  }

  /**
   * As {@link #ofLatents(int, int, int, int)}, in the memory of the backend that uses the cache.
   *
   * @param element f32, bf16 or f16
   */
  public static KvCache ofLatents(
      TensorMemory memory,
      DType element,
      int numLayers,
      int latentWidth,
      int ropeWidth,
      int contextLimit) {
    KvPlane.requirePositive("latentWidth", latentWidth);
    KvPlane.requirePositive("ropeWidth", ropeWidth);
    if (latentWidth > Integer.MAX_VALUE - ropeWidth)
      throw new IllegalArgumentException(
          "latentWidth and ropeWidth must sum to less than 2^31, found "
              + latentWidth
              + " and "
              + ropeWidth);
    KvPlane latents = new KvPlane("latents", 1, latentWidth + ropeWidth, element);
    return new KvCache(memory, numLayers, List.of(latents), latentWidth, contextLimit);
  }

  private KvCache(
      TensorMemory memory, int numLayers, List<KvPlane> planes, int valueWidth, int contextLimit) {
    this.valueWidth = valueWidth;
    this.contextLimit = contextLimit;
    try {
      pages = open.keep(new KvPages(memory, numLayers, planes, contextLimit));
      position = open.keep(new MirroredTensor(memory, I64, 1));
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
    written = new long[planes.size()][numLayers];
  }

  /** The planes: keys and values, or latents. */
  public List<KvPlane> planes() {
    return pages.planes;
  }

  /** The plane of keys, or of latents. */
  public KvPlane keys() {
    return pages.planes.get(0);
  }

  /** The plane of values, or of latents. */
  public KvPlane values() {
    return pages.planes.get(pages.planes.size() - 1);
  }

  /** Type of what the cache holds: f32, bf16 or f16. */
  public DType element() {
    return keys().element();
  }

  /** Bytes that a token needs in all layers. */
  public long bytesPerToken() {
    return pages.numLayers * pages.planes.stream().mapToLong(KvPlane::bytesPerToken).sum();
  }

  public int numLayers() {
    return pages.numLayers;
  }

  public int numKvHeads() {
    return keys().numHeads();
  }

  public int keyWidth() {
    return keys().width();
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
    return pages.planes.size() == 1;
  }

  public int contextLimit() {
    return contextLimit;
  }

  /** Number of tokens of the sequence, and so the position of the next token. */
  public int length() {
    return length;
  }

  /**
   * Number of positions that all planes of a layer hold: the length plus the tokens appended since
   * the last {@link #advance}.
   *
   * @throws IndexOutOfBoundsException if there is no such layer
   */
  public long written(int layer) {
    Objects.checkIndex(layer, pages.numLayers);
    long least = Long.MAX_VALUE;
    for (long[] plane : written) least = Math.min(least, plane[layer]);
    return least;
  }

  /** Bytes of the pages allocated so far. */
  public synchronized long sizeBytes() {
    return pages.sizeBytes();
  }

  /** Fills the part of attention's arguments that describes a layer of this cache. */
  void describe(int layer, AttentionArguments arguments) {
    long cacheLength = address(positionCell()); // before the struct's buffer is loaded
    pages.describe(layer, valueWidth, arguments);
    arguments.cacheLength(cacheLength).contextLimit(contextLimit);
  }

  /** As {@link #describe(int, AttentionArguments)}, of an append to a plane. */
  void describe(int layer, int plane, int firstPosition, KvAppendArguments arguments) {
    long cacheLength = address(positionCell());
    pages.describe(layer, plane, arguments);
    arguments.cacheLength(cacheLength).firstPosition(firstPosition);
  }

  /** As {@link #describe(int, int, int, KvAppendArguments)}, of both planes. */
  void describe(int layer, int firstPosition, KvAppendArguments keys, KvAppendArguments values) {
    long cacheLength = address(positionCell());
    pages.describe(layer, 0, keys);
    pages.describe(layer, 1, values);
    keys.cacheLength(cacheLength).firstPosition(firstPosition);
    values.cacheLength(cacheLength).firstPosition(firstPosition);
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
   * Makes room for the tokens that follow {@link #length()}, then writes their rows of one plane,
   * rounded to its element.
   *
   * @param plane one of {@link #planes()}
   * @param rows [numTokens, plane.numHeads(), plane.width()] f32; of latents (c, k_rope)
   * @throws ContextLengthException if the sequence would pass its limit
   * @throws IllegalArgumentException naming the argument that is wrong; nothing has been written
   *     then
   * @throws IllegalStateException if the rows, the cache or the backend is closed
   */
  public void append(Backend backend, int layer, KvPlane plane, Tensor rows) {
    requireLayer(layer);
    int index = pages.indexOf(plane);
    rows.require(plane.name(), F32, Tensor.ANY, plane.numHeads(), plane.width());
    int numTokens = Math.toIntExact(rows.dim(0));
    int first = reserveFromHere(numTokens); // asked once: another thread may change the length
    KvAppend.run(backend, rows, this, layer, index, first);
    written[index][layer] = first + (long) numTokens;
  }

  /**
   * As {@link #append(Backend, int, KvPlane, Tensor)}, of keys and values in one call.
   *
   * @param keys [numTokens, keys().numHeads(), keys().width()] f32
   * @param values [numTokens, values().numHeads(), values().width()] f32
   * @throws IllegalArgumentException also if this is a cache of latents
   */
  public void append(Backend backend, int layer, Tensor keys, Tensor values) {
    requireLayer(layer);
    if (isLatent())
      throw new IllegalArgumentException("cache must hold keys and values, found latents");
    keys.require("keys", F32, Tensor.ANY, keys().numHeads(), keys().width());
    values.require("values", F32, keys.dim(0), values().numHeads(), values().width());
    int numTokens = Math.toIntExact(keys.dim(0));
    int first = reserveFromHere(numTokens); // asked once: another thread may change the length
    KvAppend.runBoth(backend, keys, values, this, layer, first);
    for (long[] plane : written) plane[layer] = first + (long) numTokens;
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
    long all = length + (long) numTokens;
    for (int plane = 0; plane < written.length; plane++) {
      for (int layer = 0; layer < pages.numLayers; layer++) {
        long found = written[plane][layer];
        if (found != all)
          throw new IllegalStateException(
              "layer "
                  + layer
                  + " must hold "
                  + pages.planes.get(plane).name()
                  + " of "
                  + all
                  + " positions, found "
                  + found);
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
    for (long[] plane : written) Arrays.fill(plane, (long) length + numTokens);
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
    for (long[] plane : written) Arrays.fill(plane, newLength);
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
