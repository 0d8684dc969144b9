package org.winnow.memory;

import java.io.IOException;
import org.winnow.ExpertReadException;
import org.winnow.internal.NativeCpu;
import org.winnow.memory.ExpertLayout.Part;
import org.winnow.memory.ExpertLayout.Piece;
import org.winnow.memory.ExpertLayout.Range;
import org.winnow.memory.ExpertLayout.Rearranged;

/** Reads one expert into its slot, rearranging on the way what is not stored as it is computed. */
final class ExpertLoader {
  /**
   * Rows of about this many bytes are read at once: larger reads gain nothing, smaller ones cost up
   * to 20 %.
   */
  private static final long CHUNK_BYTES = 4 << 20;

  private ExpertLoader() {}

  /**
   * @param stagingAddress of {@link ExpertStore#stagingBytes()}, page-aligned; unused if nothing is
   *     rearranged
   * @param what the expert, for errors
   * @return bytes that were read from files
   * @throws ExpertReadException naming the tensor, if a read fails or comes up short
   */
  static long load(ExpertLayout layout, long slotAddress, long stagingAddress, String what) {
    long readBytes = 0;
    for (Range range : layout.direct()) {
      try {
        readBytes +=
            Checkpoint.readFully(
                range.reader(),
                range.file(),
                what,
                range.offsetBytes(),
                slotAddress + range.slotOffset(),
                range.sizeBytes(),
                range.neededBytes());
      } catch (ExpertReadException e) {
        throw named(range, slotAddress, what, e);
      }
    }
    for (Rearranged matrix : layout.rearranged())
      readBytes += rearrange(matrix, slotAddress, stagingAddress, what);
    return readBytes;
  }

  /** The failure of a range, of the first tensor in it that cannot be read. */
  private static ExpertReadException named(
      Range range, long slotAddress, String what, ExpertReadException failure) {
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
        range
            .reader()
            .read(
                block, slotAddress + range.slotOffset() + block - range.offsetBytes(), end - block);
      } catch (IOException e) {
        return new ExpertReadException(range.file(), name, begin, piece.sizeBytes(), -1, e);
      }
    }
    return failure; // it passed
  }

  private static long rearrange(
      Rearranged matrix, long slotAddress, long stagingAddress, String what) {
    long readBytes = 0;
    long alignment = matrix.reader().alignmentBytes();
    long rowsPerChunk = rowsPerChunk(matrix);
    for (long row = 0; row < matrix.numRows(); row += rowsPerChunk) {
      long numRows = Math.min(rowsPerChunk, matrix.numRows() - row);
      long begin = matrix.offsetBytes() + row * matrix.rowBytes();
      long end = begin + numRows * matrix.rowBytes();
      long block = begin / alignment * alignment;
      readBytes +=
          Checkpoint.readFully(
              matrix.reader(),
              matrix.file(),
              what + ": " + matrix.tensor(),
              block,
              stagingAddress,
              Checkpoint.roundUp(end, alignment) - block,
              end - block);
      for (Part part : matrix.parts())
        place(
            matrix,
            part,
            row,
            numRows,
            stagingAddress + begin - block,
            slotAddress + part.slotOffset());
    }
    return readBytes;
  }

  private static void place(
      Rearranged matrix, Part part, long row, long numRows, long source, long destination) {
    int elementBytes = matrix.dtype().sizeBytes();
    long from = source + part.firstColumn() * elementBytes;
    switch (part.form()) {
      case COPIED ->
          NativeCpu.memory_copy(
              destination + row * matrix.rowBytes(), source, numRows * matrix.rowBytes());
      case TRANSPOSED ->
          NativeCpu.memory_copy_transposed(
              destination + row * elementBytes,
              from,
              elementBytes,
              numRows,
              part.numColumns(),
              matrix.numColumns(),
              part.columnStep(),
              matrix.numRows());
      case TO_F32 ->
          NativeCpu.memory_copy_to_f32(
              destination, from, matrix.dtype().code(), part.numColumns(), part.columnStep());
      default -> throw new IllegalStateException("no way to place a part " + part.form());
    }
  }

  /**
   * What {@link #load} reads for a matrix, in a file of this size: every chunk rounded outward to
   * blocks.
   */
  static long readBytes(Rearranged matrix, long fileSizeBytes) {
    long readBytes = 0;
    long alignment = matrix.reader().alignmentBytes();
    long rowsPerChunk = rowsPerChunk(matrix);
    for (long row = 0; row < matrix.numRows(); row += rowsPerChunk) {
      long begin = matrix.offsetBytes() + row * matrix.rowBytes();
      long end =
          matrix.offsetBytes() + Math.min(row + rowsPerChunk, matrix.numRows()) * matrix.rowBytes();
      readBytes +=
          Math.min(fileSizeBytes, Checkpoint.roundUp(end, alignment))
              - begin / alignment * alignment;
    }
    return readBytes;
  }

  /**
   * The buffer that {@link #load} needs for a matrix: a chunk and the blocks that it begins and
   * ends in.
   */
  static long stagingBytes(Rearranged matrix) {
    return Checkpoint.roundUp(
            rowsPerChunk(matrix) * matrix.rowBytes(), RangeReader.DIRECT_ALIGNMENT_BYTES)
        + RangeReader.DIRECT_ALIGNMENT_BYTES;
  }

  private static long rowsPerChunk(Rearranged matrix) {
    return Math.min(matrix.numRows(), Math.max(1, CHUNK_BYTES / matrix.rowBytes()));
  }
}
