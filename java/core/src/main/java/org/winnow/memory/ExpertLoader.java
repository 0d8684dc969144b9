package org.winnow.memory;

import java.io.IOException;
import org.winnow.ExpertReadException;
import org.winnow.internal.NativeCodes;
import org.winnow.internal.NativeCpu;
import org.winnow.memory.ExpertLayout.Arranged;
import org.winnow.memory.ExpertLayout.Copy;
import org.winnow.memory.ExpertLayout.InPanels;
import org.winnow.memory.ExpertLayout.Piece;
import org.winnow.memory.ExpertLayout.Range;
import org.winnow.memory.ExpertLayout.Staged;
import org.winnow.memory.ExpertLayout.Stored;
import org.winnow.memory.ExpertLayout.Transform;

/**
 * Reads one expert into its slot. What is not stored the way kernels read it passes through a
 * buffer.
 */
final class ExpertLoader {
  /**
   * Rows of about this many bytes are read at once: larger reads gain nothing, smaller ones cost up
   * to 20 %.
   */
  private static final long CHUNK_BYTES = 4 << 20;

  /**
   * Matrices are arranged in pieces of about this many bytes: a buffer that stays in a processor's
   * cache is filled 1.4 times as fast as new lines of memory.
   */
  private static final long PIECE_BYTES = 1 << 20;

  private ExpertLoader() {}

  /**
   * @param stagingAddress of {@link ExpertStore#stagingBytes()}, page-aligned; unused if nothing is
   *     staged
   * @param what the expert, for errors
   * @return bytes that were read from files
   * @throws ExpertReadException naming the tensor, if a read fails or comes up short
   */
  static long load(ExpertLayout layout, long slotAddress, long stagingAddress, String what) {
    long readBytes = 0;
    for (Range range : layout.direct())
      readBytes += read(range, slotAddress + range.slotOffset(), what);
    for (Arranged arranged : layout.arranged())
      readBytes += load(arranged, slotAddress, stagingAddress, what);
    for (Staged rows : layout.staged()) readBytes += load(rows, slotAddress, stagingAddress, what);
    return readBytes;
  }

  private static long read(Range range, long address, String what) {
    try {
      return Checkpoint.readFully(
          range.reader(),
          range.file(),
          what,
          range.offsetBytes(),
          address,
          range.sizeBytes(),
          range.neededBytes());
    } catch (ExpertReadException e) {
      throw named(range, address, what, e);
    }
  }

  private static long load(Arranged arranged, long slotAddress, long stagingAddress, String what) {
    Range range = arranged.range();
    if (isOnePiece(arranged)) {
      long readBytes = read(range, stagingAddress, what);
      for (InPanels matrix : arranged.matrices()) {
        arrange(matrix, stagingAddress + matrix.bufferOffset(), 0, matrix.rows(), slotAddress);
      }
      return readBytes;
    }
    long readBytes = 0;
    long alignment = range.reader().alignmentBytes();
    for (int i = 0; i < arranged.matrices().size(); i++) {
      InPanels matrix = arranged.matrices().get(i);
      long rowsPerPiece = rowsPerPiece(matrix);
      for (long row = 0; row < matrix.rows(); row += rowsPerPiece) {
        long endRow = Math.min(row + rowsPerPiece, matrix.rows());
        long begin = range.offsetBytes() + matrix.bufferOffset() + row * matrix.rowBytes();
        long end = range.offsetBytes() + matrix.bufferOffset() + endRow * matrix.rowBytes();
        long block = begin / alignment * alignment;
        readBytes +=
            Checkpoint.readFully(
                range.reader(),
                range.file(),
                what + ": " + range.pieces().get(i).tensor(),
                block,
                stagingAddress,
                Checkpoint.roundUp(end, alignment) - block,
                end - block);
        arrange(matrix, stagingAddress + begin - block, row, endRow, slotAddress);
      }
    }
    return readBytes;
  }

  /** Arranges rows [row, endRow), which are in memory at {@code source}. */
  private static void arrange(
      InPanels matrix, long source, long row, long endRow, long slotAddress) {
    NativeCpu.memory_copy_to_panels(
        slotAddress + matrix.slotOffset(),
        source,
        matrix.elementBytes(),
        matrix.panelElements(),
        matrix.rows(),
        matrix.columns(),
        row,
        endRow,
        0,
        matrix.columns(),
        matrix.columns(),
        1);
  }

  private static boolean isOnePiece(Arranged arranged) {
    return arranged.range().sizeBytes() <= PIECE_BYTES;
  }

  /** Whole panels, and pieces of about equal size. */
  private static long rowsPerPiece(InPanels matrix) {
    long numPieces = (matrix.rows() * matrix.rowBytes() + PIECE_BYTES - 1) / PIECE_BYTES;
    return Checkpoint.roundUp((matrix.rows() + numPieces - 1) / numPieces, NativeCodes.PANEL_ROWS);
  }

  /** The failure of a range, with the name of the first tensor in it that cannot be read. */
  private static ExpertReadException named(
      Range range, long address, String what, ExpertReadException failure) {
    for (Piece piece : range.pieces()) {
      String name = what + ": " + piece.tensor();
      long begin = piece.offsetBytes();
      if (failure.foundBytes() >= 0) { // the file ends early
        long found = Math.max(0, range.offsetBytes() + failure.foundBytes() - begin);
        if (found >= piece.sizeBytes()) continue;
        return new ExpertReadException(range.file(), name, begin, piece.sizeBytes(), found, null);
      }
      long alignment = range.reader().alignmentBytes();
      long block = begin / alignment * alignment;
      long end = Checkpoint.roundUp(begin + piece.sizeBytes(), alignment);
      try {
        range.reader().read(block, address + block - range.offsetBytes(), end - block);
      } catch (IOException e) {
        return new ExpertReadException(range.file(), name, begin, piece.sizeBytes(), -1, e);
      }
    }
    return failure; // every tensor can be read by now
  }

  private static long load(Staged rows, long slotAddress, long stagingAddress, String what) {
    long readBytes = 0;
    long alignment = rows.reader().alignmentBytes();
    long rowBytes = rows.stored().rowBytes();
    long rowsPerChunk = rowsPerChunk(rows);
    for (long row = rows.firstRow(); row < rows.endRow(); row += rowsPerChunk) {
      long endRow = Math.min(row + rowsPerChunk, rows.endRow());
      long begin = rows.offsetBytes() + row * rowBytes;
      long end = rows.offsetBytes() + endRow * rowBytes;
      long block = begin / alignment * alignment;
      readBytes +=
          Checkpoint.readFully(
              rows.reader(),
              rows.tensor().file(),
              what + ": " + rows.tensor().name(),
              block,
              stagingAddress,
              Checkpoint.roundUp(end, alignment) - block,
              end - block);
      for (Copy copy : rows.copies())
        copy(rows, copy, row, endRow, stagingAddress + begin - block, slotAddress);
    }
    return readBytes;
  }

  /** Copies what lies in rows [row, endRow), the first of which is in memory at {@code source}. */
  private static void copy(
      Staged staged, Copy copy, long row, long endRow, long source, long slotAddress) {
    long firstRow = copy.rows().first();
    long rowStep = copy.rows().step();
    long done = Math.max(0, (row - firstRow + rowStep - 1) / rowStep); // of the copy's rows
    long end = Math.min(copy.rows().count(), (endRow - firstRow + rowStep - 1) / rowStep);
    if (done >= end) return;
    int elementBytes = staged.stored().elementBytes();
    long rowBytes = staged.stored().rowBytes();
    long from =
        source
            + (firstRow + done * rowStep - row) * rowBytes
            + copy.columns().first() * elementBytes;
    long to = slotAddress + copy.slotOffset();
    if (copy.panelElements() > 0) {
      copyToPanels(staged.stored(), copy, done, end, from, to);
      return;
    }
    switch (copy.transform()) {
      case COPY ->
          copyRows(
              staged.stored(),
              copy,
              end - done,
              from,
              to + done * copy.columns().count() * elementBytes);
      case TRANSPOSE ->
          NativeCpu.memory_copy_transposed(
              to + done * elementBytes,
              from,
              elementBytes,
              end - done,
              copy.columns().count(),
              rowStep * staged.stored().numColumns(),
              copy.columns().step(),
              copy.rows().count());
      case TO_F32 ->
          NativeCpu.memory_copy_to_f32(
              to + done * Float.BYTES,
              from,
              staged.tensor().dtype().code(),
              end - done,
              rowStep * staged.stored().numColumns());
      default -> throw new IllegalStateException("no way to copy as " + copy.transform());
    }
  }

  /** Rows [done, end) of the copy. Transposed, these are columns of the matrix in memory. */
  private static void copyToPanels(
      Stored stored, Copy copy, long done, long end, long from, long to) {
    boolean transposed = copy.transform() == Transform.TRANSPOSE;
    long rowStride = copy.rows().step() * stored.numColumns(); // in elements, as the next one
    long columnStride = copy.columns().step();
    NativeCpu.memory_copy_to_panels(
        to,
        from,
        stored.elementBytes(),
        copy.panelElements(),
        transposed ? copy.columns().count() : copy.rows().count(),
        transposed ? copy.rows().count() : copy.columns().count(),
        transposed ? 0 : done,
        transposed ? copy.columns().count() : end,
        transposed ? done : 0,
        transposed ? end : copy.columns().count(),
        transposed ? columnStride : rowStride,
        transposed ? rowStride : columnStride);
  }

  private static void copyRows(Stored stored, Copy copy, long numRows, long from, long to) {
    long numColumns = copy.columns().count();
    int elementBytes = stored.elementBytes();
    long rowStep = copy.rows().step() * stored.numColumns(); // in elements
    if (copy.columns().step() != 1) { // with its strides swapped the source counts as transposed
      NativeCpu.memory_copy_transposed(
          to, from, elementBytes, numColumns, numRows, copy.columns().step(), rowStep, numColumns);
    } else if (rowStep == numColumns) {
      NativeCpu.memory_copy(to, from, numRows * numColumns * elementBytes);
    } else {
      long rowBytes = numColumns * elementBytes;
      for (long i = 0; i < numRows; i++)
        NativeCpu.memory_copy(to + i * rowBytes, from + i * rowStep * elementBytes, rowBytes);
    }
  }

  /**
   * How many bytes {@link #load} reads for rows in a file of this size: every chunk is rounded
   * outward.
   */
  static long readBytes(Staged rows, long fileSizeBytes) {
    long readBytes = 0;
    long alignment = rows.reader().alignmentBytes();
    long rowBytes = rows.stored().rowBytes();
    long rowsPerChunk = rowsPerChunk(rows);
    for (long row = rows.firstRow(); row < rows.endRow(); row += rowsPerChunk) {
      long begin = rows.offsetBytes() + row * rowBytes;
      long end = rows.offsetBytes() + Math.min(row + rowsPerChunk, rows.endRow()) * rowBytes;
      readBytes += blocks(begin, end, alignment, fileSizeBytes);
    }
    return readBytes;
  }

  /** The same for matrices that are arranged. */
  static long readBytes(Arranged arranged, long fileSizeBytes) {
    Range range = arranged.range();
    if (isOnePiece(arranged))
      return Math.min(range.sizeBytes(), fileSizeBytes - range.offsetBytes());
    long readBytes = 0;
    long alignment = range.reader().alignmentBytes();
    for (InPanels matrix : arranged.matrices()) {
      long first = range.offsetBytes() + matrix.bufferOffset();
      long rowsPerPiece = rowsPerPiece(matrix);
      for (long row = 0; row < matrix.rows(); row += rowsPerPiece) {
        long begin = first + row * matrix.rowBytes();
        long end = first + Math.min(row + rowsPerPiece, matrix.rows()) * matrix.rowBytes();
        readBytes += blocks(begin, end, alignment, fileSizeBytes);
      }
    }
    return readBytes;
  }

  private static long blocks(long begin, long end, long alignment, long fileSizeBytes) {
    return Math.min(fileSizeBytes, Checkpoint.roundUp(end, alignment))
        - begin / alignment * alignment;
  }

  /** The buffer that {@link #load} needs for matrices that are arranged. */
  static long stagingBytes(Arranged arranged) {
    if (isOnePiece(arranged)) return arranged.range().sizeBytes();
    long largest = 0;
    for (InPanels matrix : arranged.matrices())
      largest = Math.max(largest, rowsPerPiece(matrix) * matrix.rowBytes());
    return withBlocks(largest);
  }

  /** The buffer that {@link #load} needs: a chunk and the blocks that it begins and ends in. */
  static long stagingBytes(Staged rows) {
    return withBlocks(rowsPerChunk(rows) * rows.stored().rowBytes());
  }

  private static long withBlocks(long sizeBytes) {
    return Checkpoint.roundUp(sizeBytes, RangeReader.DIRECT_ALIGNMENT_BYTES)
        + RangeReader.DIRECT_ALIGNMENT_BYTES;
  }

  private static long rowsPerChunk(Staged rows) {
    return Math.min(
        rows.endRow() - rows.firstRow(), Math.max(1, CHUNK_BYTES / rows.stored().rowBytes()));
  }
}
