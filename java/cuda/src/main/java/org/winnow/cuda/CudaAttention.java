package org.winnow.cuda;

import java.util.ArrayList;
import java.util.List;
import org.winnow.internal.AttentionArguments;

/**
 * Launches attention_cuda.cu: a block per tile of rows and kv head, and where that leaves the
 * device idle, per split of the keys too; these are then merged by a second launch. The bits do not
 * depend on it. Nothing of a launch that is captured depends on the position, but on the cache's
 * limit: it can be replayed.
 */
final class CudaAttention {
  private static final int BLOCKS_PER_MULTIPROCESSOR = 8; // wanted where keys are split
  private static final int MAX_MERGE_BLOCK = 128;

  /** What the parts of splits may take, if those of one token do not take more. */
  private static final long MAX_PARTS_BYTES = 64L << 20;

  /** A kernel, and the shape of its tile. */
  private record Form(Kernel kernel, AttentionLaunch.Variant variant) {
    int rows() {
      return variant.rowLanes() * variant.rowsPerLane();
    }

    /** Columns of values that a block holds. */
    int columns() {
      return variant.columnBlocks() * AttentionLaunch.COLUMNS;
    }

    long sharedBytes(long keyWidth) {
      return AttentionLaunch.tileBytes(rows(), variant.stages(), keyWidth);
    }
  }

  private final List<Form> forms = new ArrayList<>();
  private final int narrowColumns; // of the first forms
  private final Kernel merge;
  private final Scratch parts;
  private final CudaContext context;
  private final int wantedBlocks;

  CudaAttention(CudaContext context, CudaMemory memory) {
    this.context = context;
    for (AttentionLaunch.Variant variant : AttentionLaunch.KERNELS)
      forms.add(new Form(context.kernel("attention", variant.name()), variant));
    narrowColumns = forms.get(0).columns();
    merge = context.kernel("attention", "attention_merge");
    parts = new Scratch(context, memory);
    wantedBlocks = context.device().multiprocessors() * BLOCKS_PER_MULTIPROCESSOR;
  }

  void launch(CudaStream stream, AttentionArguments arguments) {
    int numTokens = Math.toIntExact(arguments.numTokens());
    int numHeads = Math.toIntExact(arguments.numHeads());
    int numKvHeads = Math.toIntExact(arguments.numKvHeads());
    int valueWidth = Math.toIntExact(arguments.valueWidth());
    int allRows = Math.multiplyExact(numTokens, numHeads);
    if (allRows == 0 || valueWidth == 0) return;
    int rows = allRows / numKvHeads;
    Form form = form(rows, arguments.keyWidth(), valueWidth);
    int tiles = ceilDiv(rows, form.rows());
    int heads = numKvHeads * ceilDiv(valueWidth, form.columns());
    int limit = Math.toIntExact(arguments.contextLimit());
    int splits =
        splits(
            limit,
            context.isCapturing() ? limit : (int) (arguments.firstPosition() + numTokens),
            numTokens,
            numHeads,
            valueWidth,
            Math.toIntExact(arguments.slidingWindow()));
    int splitBlocks = (int) Math.min(splits, Math.max(1, wantedBlocks / ((long) tiles * heads)));
    long partSoftmax = 0;
    long partValues = 0;
    if (splitBlocks > 1) {
      long numParts = (long) splits * allRows;
      partSoftmax = parts.address(AttentionLaunch.partsBytes(numParts, valueWidth));
      partValues = partSoftmax + AttentionLaunch.softmaxBytes(numParts);
    }
    KernelArguments packed =
        AttentionLaunch.attentionExtras(
            stream.arguments().of(arguments),
            partValues,
            partSoftmax,
            isVector(0, arguments.keyWidth()),
            isVector(0, arguments.valueRowStride()),
            isVector(arguments.output(), valueWidth));
    form.kernel.launch(
        stream,
        tiles,
        heads,
        splitBlocks,
        AttentionLaunch.ROW_THREADS * form.variant.rowLanes(),
        (int) form.sharedBytes(arguments.keyWidth()),
        packed);
    if (splitBlocks == 1) return;
    int mergeThreads = Math.min(MAX_MERGE_BLOCK, ceilDiv(valueWidth, ElementGrid.VECTOR));
    merge.launch(stream, allRows, 1, 1, mergeThreads, 0, packed);
  }

  private static int isVector(long address, long size) {
    return ElementGrid.isVector(address, size) ? 1 : 0;
  }

  /** The smallest tile that holds all rows, or the largest, of those that fit. */
  private Form form(int rows, long keyWidth, int valueWidth) {
    boolean isNarrow = valueWidth <= narrowColumns;
    Form found = null;
    for (Form form : forms) {
      if (form.columns() == narrowColumns != isNarrow) continue;
      if (form.sharedBytes(keyWidth) > DeviceLaunch.MAX_SHARED_BYTES) break;
      found = form;
      if (form.rows() >= rows) break;
    }
    if (found == null)
      throw new IllegalArgumentException(
          "keys must be narrow enough for a block's "
              + DeviceLaunch.MAX_SHARED_BYTES
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
            AttentionLaunch.partsBytes(
                (long) splits(contextLimit, 1, slidingWindow) * numHeads, valueWidth));
    long allRows = (long) numTokens * numHeads;
    int splits = splits(contextLimit, numTokens, slidingWindow);
    if (AttentionLaunch.partsBytes(splits * allRows, valueWidth) > maxBytes)
      splits = splits(length, numTokens, slidingWindow);
    return AttentionLaunch.partsBytes(splits * allRows, valueWidth) > maxBytes ? 1 : splits;
  }

  /** The most splits that the tokens of a call see, in a sequence of up to that length. */
  private static int splits(int length, int numTokens, int slidingWindow) {
    int all = ceilDiv(length, AttentionLaunch.KEYS_PER_SPLIT);
    if (slidingWindow == 0) return all;
    long seen = (long) slidingWindow + numTokens - 1; // at any place among the splits
    return (int)
        Math.min(
            all, (seen + AttentionLaunch.KEYS_PER_SPLIT - 2) / AttentionLaunch.KEYS_PER_SPLIT + 1);
  }

  private static int ceilDiv(int a, int b) {
    return (int) (((long) a + b - 1) / b);
  }
}
