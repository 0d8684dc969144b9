package org.winnow.memory;

import java.nio.file.Path;
import java.util.List;
import org.winnow.WeightFormat;

/**
 * How one expert gets from its files into a slot: what is read straight to its place, what is read
 * through a buffer and copied from there, and where each plane then lies.
 *
 * @param direct ranges read straight into the slot
 * @param arranged ranges read into a buffer, and the matrices that are arranged in panels from
 *     there
 * @param staged ranges read through a buffer
 * @param planes the arrays that the expert consists of, ascending by role and plane
 * @param formats of the parts, by {@link ExpertRole}; null where the expert has none
 * @param slotBytes bytes that the expert takes in its slot
 * @param storedBytes bytes of its weights in the files
 * @param readBytes bytes that are read for it: stored bytes, rounded outward to the blocks of
 *     direct reads
 */
record ExpertLayout(
    List<Range> direct,
    List<Arranged> arranged,
    List<Staged> staged,
    List<Plane> planes,
    WeightFormat[] formats,
    long slotBytes,
    long storedBytes,
    long readBytes) {
  /** An array of the expert: a matrix or one of its planes, or a bias. */
  record Plane(ExpertRole role, int plane, long place, long sizeBytes) {}

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
      List<Piece> pieces) {
    /** The same range, with a place in the slot. */
    Range at(long place) {
      return new Range(reader, file, offsetBytes, sizeBytes, neededBytes, place, pieces);
    }
  }

  /**
   * A range that is read into a buffer, as a whole or piece by piece.
   *
   * @param matrices what becomes of it: one for each piece of the range, in the same order
   */
  record Arranged(Range range, List<InPanels> matrices) {}

  /** A matrix in a range, row by row, and where its panels begin in the slot. */
  record InPanels(
      long bufferOffset,
      long slotOffset,
      int elementBytes,
      int panelElements,
      long rows,
      long columns) {
    long rowBytes() {
      return columns * elementBytes;
    }
  }

  /** Bytes of a tensor, somewhere in a file. */
  record Piece(String tensor, long offsetBytes, long sizeBytes) {}

  /**
   * Rows of a stored matrix that are read some at a time.
   *
   * @param offsetBytes of row 0 in the file
   * @param firstRow the first that is read
   * @param endRow the one after the last that is read
   * @param copies what becomes of them
   */
  record Staged(
      RangeReader reader,
      TensorInfo tensor,
      long offsetBytes,
      Stored stored,
      long firstRow,
      long endRow,
      List<Copy> copies) {}

  /** The rows of a matrix as a file has them. */
  record Stored(int elementBytes, long numColumns) {
    long rowBytes() {
      return numColumns * elementBytes;
    }
  }

  /**
   * Some elements of a stored matrix, and where they go.
   *
   * @param rows which rows, counted from row 0 of the matrix
   * @param columns which columns of each
   * @param slotOffset where the plane begins in the slot
   * @param panelElements of the format, if the plane lies in panels; otherwise 0
   */
  record Copy(Span rows, Span columns, Transform transform, long slotOffset, int panelElements) {}

  /** {@code first, first + step, ...}, {@code count} of them. */
  record Span(long first, long step, long count) {
    /** One after the last. */
    long end() {
      return first + (count - 1) * step + 1;
    }
  }

  enum Transform {
    /** Row by row: [rows, columns]. */
    COPY,
    /** Column by column: [columns, rows]. */
    TRANSPOSE,
    /** As f32, of one column: [rows]. */
    TO_F32
  }

  /** Where a plane begins in a slot that files are read into; -1: the expert has no such plane. */
  long place(ExpertRole role, int plane) {
    for (Plane one : planes) {
      if (one.role == role && one.plane == plane) return one.place;
    }
    return -1;
  }

  /** The format of a part, f32 for a bias; null: the expert has no such part. */
  WeightFormat format(ExpertRole role) {
    return formats[role.ordinal()];
  }
}
