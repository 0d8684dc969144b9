package org.winnow.attention;

import java.util.Arrays;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.internal.Resources;

/**
 * Intermediate results of {@link MlaAttention}: grows to the largest call, is reused by the next.
 * One serves all layers of a model, one call at a time.
 */
public final class MlaWorkspace implements AutoCloseable {
  /** What is kept; one piece of memory each. */
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
  private TensorMemory memory; // where they lie: the last call's
  private Tensor filledOffsets; // what headOffsets wrote last, for how many rows
  private Tensor filledOffsetsOfOneRow;
  private long filledRows;
  private Tensor filledHeads;
  private boolean closed;

  /** Begins a call of a backend that computes in this memory; gives back what lies elsewhere. */
  void use(TensorMemory backendMemory) {
    requireOpen();
    if (memory == backendMemory) return;
    free();
    for (int i = 0; i < slots.length; i++) slots[i] = new Workspace(backendMemory);
    memory = backendMemory;
  }

  /** The slot's memory under this shape; the same object as before where the shape is. */
  Tensor get(Slot slot, DType dtype, long... shape) {
    requireOpen();
    return slots[slot.ordinal()].get(dtype, shape);
  }

  /**
   * Rows of each head one after the other: [numHeads + 1] i32, multiples of rowsPerHead. Those of a
   * decoded token are kept apart: a captured step reads them again, whatever ran meanwhile.
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

  /** [numHeads] i32: 0 and so on. */
  Tensor heads(int numHeads) {
    Tensor heads = get(Slot.HEADS, DType.I32, numHeads);
    if (heads != filledHeads) {
      int[] all = new int[numHeads];
      Arrays.setAll(all, h -> h);
      filledHeads = heads.copyFrom(all);
    }
    return heads;
  }

  /** Frees the memory after waiting for operations that are running. May be called twice. */
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
