package org.winnow.cuda;

import org.winnow.Tensor;
import org.winnow.op.AttentionOptions;
import org.winnow.op.KvCache;

/**
 * Launches attention_cuda.cu: a block per tile of rows and kv head, and where that leaves the
 * device idle, per split of the keys too; these are then merged by a second launch. The bits do not
 * depend on it. Nothing of a launch that is captured depends on the position, but on the cache's
 * limit: it can be replayed.
 */
final class CudaAttention {
  private static final int KEYS_PER_SPLIT = 256; // in attention_cuda.cu, like the next four
  private static final int KEYS_PER_BLOCK = 64;
  private static final int ROW_THREADS = 16;
  private static final int DEPTH = 32;
  private static final int BUFFER_FLOATS = KEYS_PER_BLOCK * (DEPTH + 4);

  /** Dynamic shared memory that every device from compute capability 8.0 on gives a block. */
  private static final int MAX_SHARED_BYTES = 99 << 10;

  private static final int BLOCKS_PER_MULTIPROCESSOR = 8; // wanted where keys are split
  private static final int MAX_MERGE_BLOCK = 128;
  private static final int VECTOR = 4; // f32 in 16 bytes

  /** What the parts of splits may take, if those of one token do not take more. */
  private static final long MAX_PARTS_BYTES = 64L << 20;

  /** A kernel: the rows of its tile, and the columns of values that a block holds. */
  private record Form(Kernel kernel, int rows, int rowLanes, int columns, int stages) {
    int sharedBytes(int keyWidth) {
      int depth = (keyWidth + DEPTH - 1) / DEPTH * DEPTH;
      return Math.toIntExact(
          Float.BYTES * (rows * ((long) depth + KEYS_PER_BLOCK) + stages * (long) BUFFER_FLOATS));
    }
  }

  private final Form[] narrow; // by rows
  private final Form[] wide;
  private final Kernel merge;
  private final Scratch parts;
  private final CudaContext context;
  private final int wantedBlocks;

  CudaAttention(CudaContext context, CudaMemory memory) {
    this.context = context;
    narrow =
        new Form[] {
          form(context, "attention_4", 4, 4, 128, 4),
          form(context, "attention_8", 8, 8, 128, 4),
          form(context, "attention_16", 16, 16, 128, 4),
          form(context, "attention_48", 48, 8, 128, 2)
        };
    wide =
        new Form[] {
          form(context, "attention_wide_16", 16, 16, 512, 3),
          form(context, "attention_wide_32", 32, 16, 512, 2)
        };
    merge = context.kernel("attention", "attention_merge");
    parts = new Scratch(context, memory);
    wantedBlocks = context.device().multiprocessors() * BLOCKS_PER_MULTIPROCESSOR;
  }

  private static Form form(
      CudaContext context, String name, int rows, int rowLanes, int columns, int stages) {
    return new Form(context.kernel("attention", name), rows, rowLanes, columns, stages);
  }

  void launch(
      CudaStream stream,
      Tensor query,
      KvCache cache,
      int layer,
      long firstPosition,
      AttentionOptions options,
      Tensor output) {
    if (output.size() == 0) return;
    int numTokens = Math.toIntExact(query.dim(0));
    int numHeads = Math.toIntExact(query.dim(1));
    int allRows = Math.multiplyExact(numTokens, numHeads);
    int rows = allRows / cache.numKvHeads();
    Form form = form(rows, cache.keyWidth(), cache.valueWidth());
    int tiles = ceilDiv(rows, form.rows);
    int heads = cache.numKvHeads() * ceilDiv(cache.valueWidth(), form.columns);
    int limit = cache.contextLimit();
    int splits =
        splits(
            limit,
            context.isCapturing() ? limit : (int) (firstPosition + numTokens),
            numTokens,
            numHeads,
            cache.valueWidth(),
            options.slidingWindow());
    int splitBlocks = (int) Math.min(splits, Math.max(1, wantedBlocks / ((long) tiles * heads)));
    long partSoftmax = 0;
    long partValues = 0;
    if (splitBlocks > 1) {
      long numParts = (long) splits * allRows;
      partSoftmax = parts.address(partsBytes(numParts, cache.valueWidth()));
      partValues = partSoftmax + softmaxBytes(numParts);
    }
    long sinks = options.sinks() == null ? 0 : options.sinks().address();
    long positionOffset = firstPosition - cache.length();
    int outputAligned = RowGrid.aligned(output.address(), cache.valueWidth());
    form.kernel.launch(
        stream,
        tiles,
        heads,
        splitBlocks,
        ROW_THREADS * form.rowLanes,
        form.sharedBytes(cache.keyWidth()),
        stream
            .arguments()
            .begin()
            .address(query.address())
            .address(pages(cache.keyPages(), layer))
            .address(pages(cache.valuePages(), layer))
            .address(sinks)
            .address(output.address())
            .address(partValues)
            .address(partSoftmax)
            .address(cache.positionCell().address())
            .i64(positionOffset)
            .i32(numTokens)
            .i32(options.slidingWindow())
            .i32(numHeads)
            .i32(cache.numKvHeads())
            .i32(cache.keyWidth())
            .i32(cache.valueWidth())
            .i32(cache.valueRowStride())
            .i32(KvCache.PAGE_TOKENS)
            .i32(RowGrid.aligned(0, cache.keyWidth()))
            .i32(RowGrid.aligned(0, cache.valueRowStride()))
            .i32(outputAligned)
            .f32(options.scale()));
    if (splitBlocks == 1) return;
    merge.launch(
        stream,
        allRows,
        1,
        1,
        Math.min(MAX_MERGE_BLOCK, ceilDiv(cache.valueWidth(), VECTOR)),
        0,
        stream
            .arguments()
            .begin()
            .address(partValues)
            .address(partSoftmax)
            .address(sinks)
            .address(output.address())
            .address(cache.positionCell().address())
            .i64(positionOffset)
            .i32(options.slidingWindow())
            .i32(numHeads)
            .i32(cache.valueWidth())
            .i32(outputAligned));
  }

  /** The layer's row of a table of pages. */
  static long pages(Tensor table, int layer) {
    return table.address() + layer * table.dim(1) * Long.BYTES;
  }

  /** The smallest tile that holds all rows, or the largest, of those that fit. */
  private Form form(int rows, int keyWidth, int valueWidth) {
    Form found = null;
    for (Form form : valueWidth <= narrow[0].columns ? narrow : wide) {
      if (form.sharedBytes(keyWidth) > MAX_SHARED_BYTES) break;
      found = form;
      if (form.rows >= rows) break;
    }
    if (found == null)
      throw new IllegalArgumentException(
          "keys must be narrow enough for a block's "
              + MAX_SHARED_BYTES
              + " bytes of shared memory, found "
              + keyWidth
              + " elements");
    return found;
  }

  /**
   * How many splits are kept apart: the most that the tokens of a call see at any position up to
   * the limit, as a captured step needs them. Where these would take too much memory, those up to
   * the length that the host knows, or 1: a block then takes all splits of its tile.
   *
   * @param length of the sequence; the limit in a capture
   */
  static int splits(
      int contextLimit,
      int length,
      int numTokens,
      int numHeads,
      int valueWidth,
      int slidingWindow) {
    long maxBytes =
        Math.max(
            MAX_PARTS_BYTES,
            partsBytes((long) splits(contextLimit, 1, slidingWindow) * numHeads, valueWidth));
    long allRows = (long) numTokens * numHeads;
    int splits = splits(contextLimit, numTokens, slidingWindow);
    if (partsBytes(splits * allRows, valueWidth) > maxBytes)
      splits = splits(length, numTokens, slidingWindow);
    return partsBytes(splits * allRows, valueWidth) > maxBytes ? 1 : splits;
  }

  /** Of the maxima and sums of the parts, and behind them their values. */
  static long partsBytes(long numParts, int valueWidth) {
    return softmaxBytes(numParts) + Float.BYTES * numParts * valueWidth;
  }

  private static long softmaxBytes(long numParts) {
    return (2 * Float.BYTES * numParts + 15) & -16;
  }

  /** The most splits that the tokens of a call see, in a sequence of up to that length. */
  private static int splits(int length, int numTokens, int slidingWindow) {
    int all = ceilDiv(length, KEYS_PER_SPLIT);
    if (slidingWindow == 0) return all;
    long seen = (long) slidingWindow + numTokens - 1; // at any place among the splits
    return (int) Math.min(all, (seen + KEYS_PER_SPLIT - 2) / KEYS_PER_SPLIT + 1);
  }

  private static int ceilDiv(int a, int b) {
    return (int) (((long) a + b - 1) / b);
  }
}
