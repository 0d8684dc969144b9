package org.winnow.cuda;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.internal.AttentionArguments;
import org.winnow.internal.NativeCodes;

/**
 * Launches attention_cuda.cu with one block per tile of rows and kv head. If that gives too few
 * blocks for the device, the keys are split among several blocks, and a second launch merges the
 * parts. Splitting does not change the result's bits. The shape of a captured launch depends on the
 * cache's limit and not on the position, so the launch can be replayed.
 */
final class CudaAttention {
  private static final int BLOCKS_PER_MULTIPROCESSOR = 8; // target when keys are split
  private static final int MAX_MERGE_BLOCK = 128;

  /** Limit for the memory of all parts of splits, unless one token already needs more. */
  private static final long MAX_PARTS_BYTES = 64L << 20;

  /** A kernel and the shape of its tile. */
  private record Form(Kernel kernel, AttentionLaunch.Variant variant) {
    int rows() {
      return variant.rowLanes() * variant.rowsPerLane();
    }

    /** Number of value columns that a block computes. */
    int columns() {
      return variant.columnBlocks() * AttentionLaunch.COLUMNS;
    }

    long sharedBytes(long keyWidth) {
      return AttentionLaunch.tileBytes(rows(), variant.stages(), keyWidth);
    }
  }

  private final List<Form> forms = new ArrayList<>();
  private final int narrowColumns; // columns of the narrow forms, which come first
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
    int element = arguments.element();
    Form form = form(element, rows, arguments.keyWidth(), valueWidth);
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
            isAligned(element, arguments.keyWidth()),
            isAligned(element, arguments.valueRowStride()),
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

  /** Whether rows of the cache are multiples of 16 bytes. */
  private static int isAligned(int element, long width) {
    return width % (element == NativeCodes.DTYPE_F32 ? 4 : 8) == 0 ? 1 : 0;
  }

  private static int isVector(long address, long size) {
    return ElementGrid.isVector(address, size) ? 1 : 0;
  }

  /**
   * Of the element's forms that fit into shared memory: the smallest that holds all rows, or else
   * the largest.
   */
  private Form form(int element, int rows, long keyWidth, int valueWidth) {
    boolean isNarrow = valueWidth <= narrowColumns;
    @Nullable Form found = null;
    for (Form form : forms) {
      if (form.variant.element() != element) continue;
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
   * Number of splits that different blocks compute. A captured step needs the largest number that a
   * call's tokens can see at any position up to the context limit. If the parts of so many splits
   * exceed the memory limit, the current length replaces the context limit. If they still exceed
   * it, the result is 1: each block then computes all splits of its tile.
   *
   * @param length length of the sequence; the context limit in a capture
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

  /** The largest number of splits that a call's tokens can see in a sequence of that length. */
  private static int splits(int length, int numTokens, int slidingWindow) {
    int all = ceilDiv(length, AttentionLaunch.KEYS_PER_SPLIT);
    if (slidingWindow == 0) return all;
    long seen =
        (long) slidingWindow + numTokens - 1; // keys in sight; they may begin anywhere in a split
    return (int)
        Math.min(
            all, (seen + AttentionLaunch.KEYS_PER_SPLIT - 2) / AttentionLaunch.KEYS_PER_SPLIT + 1);
  }

  private static int ceilDiv(int a, int b) {
    return (int) (((long) a + b - 1) / b);
  }
}
