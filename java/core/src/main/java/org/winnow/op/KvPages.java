package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.DType.U64;
import static org.winnow.internal.Internals.address;
import static org.winnow.op.KvCache.PAGE_TOKENS;

import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.AttentionArguments;
import org.winnow.internal.KvAppendArguments;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.Resources;

/**
 * The pages of a {@link KvCache}, and the tables through which operations find them. A page holds
 * {@link KvCache#PAGE_TOKENS} positions of every layer.
 */
final class KvPages implements AutoCloseable {
  final int numLayers;
  final boolean latent;
  private final int numKvHeads;
  private final int keyWidth;
  private final int valueWidth;
  private final TensorMemory memory;
  private final Resources open = new Resources();
  private final Tensor[] pages; // each [numLayers, keys then values of one layer] f32
  private final MirroredTensor keyPages;
  private final MirroredTensor valuePages;
  private int numPages;
  private int numPagesHandedOver; // pages whose addresses operations can read

  KvPages(
      TensorMemory memory,
      int numLayers,
      int numKvHeads,
      int keyWidth,
      int valueWidth,
      int contextLimit,
      boolean latent) {
    requirePositive("numLayers", numLayers);
    requirePositive("numKvHeads", numKvHeads);
    requirePositive("keyWidth", keyWidth);
    requirePositive("valueWidth", valueWidth);
    requirePositive("contextLimit", contextLimit);
    this.memory = memory;
    this.numLayers = numLayers;
    this.numKvHeads = numKvHeads;
    this.keyWidth = keyWidth;
    this.valueWidth = valueWidth;
    this.latent = latent;
    int maxPages = (int) ((contextLimit + (long) PAGE_TOKENS - 1) / PAGE_TOKENS);
    pages = new Tensor[maxPages];
    try {
      keyPages = open.keep(new MirroredTensor(memory, U64, numLayers, maxPages));
      valuePages = open.keep(new MirroredTensor(memory, U64, numLayers, maxPages));
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
  }

  /** The width of a row of latents, (c, k_rope). */
  static int rowWidth(int latentWidth, int ropeWidth) {
    requirePositive("latentWidth", latentWidth);
    requirePositive("ropeWidth", ropeWidth);
    if (latentWidth > Integer.MAX_VALUE - ropeWidth)
      throw new IllegalArgumentException(
          "latentWidth and ropeWidth must sum to less than 2^31, found "
              + latentWidth
              + " and "
              + ropeWidth);
    return latentWidth + ropeWidth;
  }

  private static void requirePositive(String name, int value) {
    if (value < 1) throw new IllegalArgumentException(name + " must be positive, found " + value);
  }

  TensorMemory memory() {
    return memory;
  }

  void requireIn(TensorMemory expected) {
    if (memory != expected)
      throw new IllegalArgumentException("cache must lie in " + expected + ", found " + memory);
  }

  long sizeBytes() {
    return (long) numPages * numLayers * layerElements() * F32.sizeBytes();
  }

  /** Number of elements of one layer in one page. */
  private long layerElements() {
    return (long) PAGE_TOKENS * numKvHeads * (latent ? keyWidth : keyWidth + valueWidth);
  }

  /** Number of tokens whose pages operations can read. */
  long roomTokens() {
    return numPagesHandedOver * (long) PAGE_TOKENS;
  }

  /** Checks for {@link KvAppend} that room is reserved for the tokens from a position on. */
  void requireRoom(int firstPosition, int numTokens) {
    int room = numPagesHandedOver * PAGE_TOKENS - firstPosition;
    if (numTokens < 0 || numTokens > room)
      throw new IllegalArgumentException(
          "numTokens must lie in [0, " + room + "], the room reserved, found " + numTokens);
  }

  /** Adds pages until there is room for so many tokens. */
  void grow(long numTokens) {
    while ((long) numPages * PAGE_TOKENS < numTokens) addPage();
    if (numPagesHandedOver == numPages) return;
    keyPages.fromHost();
    valuePages.fromHost();
    numPagesHandedOver = numPages;
  }

  private void addPage() {
    Tensor page = open.keep(Tensor.allocate(memory, F32, numLayers, layerElements()));
    pages[numPages] = page;
    long valuesOffset = (long) PAGE_TOKENS * numKvHeads * keyWidth * F32.sizeBytes();
    for (int layer = 0; layer < numLayers; layer++) {
      long keys = address(page) + layer * layerElements() * F32.sizeBytes();
      long entry = layer * (long) pages.length + numPages;
      keyPages.longs().put((int) entry, keys);
      valuePages.longs().put((int) entry, latent ? keys : keys + valuesOffset);
    }
    numPages++;
  }

  /** The page that holds a position, [numLayers, elements of a layer] f32. */
  Tensor page(int index) {
    return pages[index];
  }

  /** Addresses of the layers' key pages, [numLayers, maximum number of pages] u64. */
  Tensor keyPages() {
    return keyPages.tensor();
  }

  /** As {@link #keyPages()}, for the value pages. */
  Tensor valuePages() {
    return valuePages.tensor();
  }

  /** Fills the part of attention's arguments that describes a layer's pages. */
  void describe(int layer, AttentionArguments arguments) {
    long keys = row(keyPages(), layer);
    long values = row(valuePages(), layer);
    arguments
        .keyPages(keys)
        .valuePages(values)
        .numKvHeads(numKvHeads)
        .keyWidth(keyWidth)
        .valueWidth(valueWidth)
        .valueRowStride(valueRowStride())
        .pageSize(PAGE_TOKENS);
  }

  /** Fills the part of an append's arguments that describes a layer's key or value pages. */
  void describe(int layer, boolean values, KvAppendArguments arguments) {
    long rows = row(values ? valuePages() : keyPages(), layer);
    arguments
        .pages(rows)
        .numHeads(numKvHeads)
        .pageSize(PAGE_TOKENS)
        .rowStride(values ? valueRowStride() : keyWidth);
  }

  /** See {@link KvCache#valueRowStride}. */
  int valueRowStride() {
    return latent ? keyWidth : valueWidth;
  }

  /** Address of the layer's row of a table of pages. */
  private long row(Tensor table, int layer) {
    return address(table) + (long) layer * pages.length * Long.BYTES;
  }

  /** Waits for running operations, then frees all pages. */
  @Override
  public void close() {
    open.close();
  }
}
