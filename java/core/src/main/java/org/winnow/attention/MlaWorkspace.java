package org.winnow.attention;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.internal.Resources;

/**
 * Memory for intermediate results of {@link MlaAttention}. It grows to the size of the largest
 * call, and later calls reuse it. One workspace serves all layers of a model, one call at a time.
 */
public final class MlaWorkspace implements AutoCloseable {
  /** The intermediate results; each has its own memory. */
  enum Slot {
    QUERY_LATENT,
    QUERY,
    LATENT_AND_ROPE,
    LATENT,
    QUERY_BY_HEAD,
    ABSORBED_BY_HEAD,
    ABSORBED,
    ATTENDED_LATENT,
    LATENT_BY_HEAD,
    VALUE_BY_HEAD,
    ATTENDED,
    HEAD_OFFSETS,
    HEAD_OFFSETS_OF_ONE_ROW,
    HEADS
  }

  private final Workspace[] slots = new Workspace[Slot.values().length];
  private @Nullable TensorMemory memory; // the last call's memory
  private @Nullable Tensor filledOffsets; // the tensor that headOffsets wrote last
  private @Nullable Tensor filledOffsetsOfOneRow;
  private long filledRows;
  private @Nullable Tensor filledHeads;
  private boolean closed;

  /** Begins a call of a backend that uses this memory. Releases results in other memories. */
  void use(TensorMemory backendMemory) {
    requireOpen();
    if (memory == backendMemory) return;
    free();
    for (int i = 0; i < slots.length; i++) slots[i] = new Workspace(backendMemory);
    memory = backendMemory;
  }

  /**
   * The slot's memory with this shape. Repeated calls with the same shape return the same object.
   */
  Tensor get(Slot slot, DType dtype, long... shape) {
    requireOpen();
    return slots[slot.ordinal()].get(dtype, shape);
  }

  /**
   * Row offsets of the heads: [numHeads + 1] i32, multiples of rowsPerHead. Offsets for one row per
   * head have their own tensor, because a captured step of one token reads them again after other
   * calls.
   */
  Tensor headOffsets(int numHeads, long rowsPerHead) {
    if (rowsPerHead == 1) {
      Tensor offsets = get(Slot.HEAD_OFFSETS_OF_ONE_ROW, DType.I32, numHeads + 1L);
      if (offsets != filledOffsetsOfOneRow)
        filledOffsetsOfOneRow = offsets.copyFrom(begins(numHeads, 1));
      return offsets;
    }
    Tensor offsets = get(Slot.HEAD_OFFSETS, DType.I32, numHeads + 1L);
    if (offsets != filledOffsets || rowsPerHead != filledRows) {
      filledOffsets = offsets.copyFrom(begins(numHeads, rowsPerHead));
      filledRows = rowsPerHead;
    }
    return offsets;
  }

  private static int[] begins(int numHeads, long rowsPerHead) {
    int[] begins = new int[numHeads + 1];
    for (int h = 0; h <= numHeads; h++) begins[h] = Math.toIntExact(h * rowsPerHead);
    return begins;
  }

  /** [numHeads] i32: 0, 1, ..., numHeads - 1. */
  Tensor heads(int numHeads) {
    Tensor heads = get(Slot.HEADS, DType.I32, numHeads);
    if (heads != filledHeads) {
      int[] all = new int[numHeads];
      Arrays.setAll(all, h -> h);
      filledHeads = heads.copyFrom(all);
    }
    return heads;
  }

  /** Waits for running operations, then frees the memory. May be called twice. */
  @Override
  public void close() {
    closed = true;
    free();
  }

  private void requireOpen() {
    if (closed) throw new IllegalStateException("workspace is closed");
  }

  private void free() {
    Resources.closeAll(slots);
  }
}
