package org.winnow.memory;

import java.nio.file.Path;
import java.util.List;
import org.winnow.DType;

/**
 * How one expert gets from its files into a slot: what is read straight to its place, what is read
 * in parts and rearranged on the way, and where each matrix then lies.
 *
 * @param direct ranges read straight into the slot
 * @param rearranged ranges whose layout is not that of the slot
 * @param places offsets in the slot, by {@link Role}; -1 where the expert has none
 * @param slotBytes bytes that the expert takes in its slot
 * @param storedBytes bytes of its weights in the files
 * @param readBytes bytes that are read for it: stored bytes, rounded outward to the blocks of
 *     direct reads
 */
record ExpertLayout(
    List<Range> direct,
    List<Rearranged> rearranged,
    long[] places,
    long slotBytes,
    long storedBytes,
    long readBytes) {
  /** What an expert is made of. */
  enum Role {
    GATE,
    UP,
    DOWN,
    GATE_BIAS,
    UP_BIAS,
    DOWN_BIAS
  }

  /**
   * A range of a file: {@code sizeBytes} are asked for, {@code neededBytes} must be there.
   *
   * @param pieces what lies in it, ascending
   */
  record Range(
      RangeReader reader,
      Path file,
      long offsetBytes,
      long sizeBytes,
      long neededBytes,
      long slotOffset,
      List<Piece> pieces) {}

  /** Bytes of a tensor, somewhere in a file. */
  record Piece(String tensor, long offsetBytes, long sizeBytes) {}

  /**
   * A matrix [numRows, numColumns] of a file that is read some rows at a time; parts of each row go
   * to different places.
   */
  record Rearranged(
      RangeReader reader,
      Path file,
      String tensor,
      long offsetBytes,
      DType dtype,
      long numRows,
      long numColumns,
      List<Part> parts) {
    long rowBytes() {
      return numColumns * dtype.sizeBytes();
    }
  }

  /**
   * Columns {@code firstColumn, firstColumn + columnStep, ...} of a rearranged matrix, and how they
   * are written at {@code slotOffset}.
   */
  record Part(Form form, long firstColumn, long columnStep, long numColumns, long slotOffset) {}

  enum Form {
    /** As they are: all columns. */
    COPIED,
    /** Column by column: [numColumns, numRows]. */
    TRANSPOSED,
    /** As f32, of a matrix of one row. */
    TO_F32
  }

  long place(Role role) {
    return places[role.ordinal()];
  }
}
