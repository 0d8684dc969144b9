package org.winnow.memory;

import java.io.IOException;
import java.nio.file.Path;

/**
 * A reader as it must be, around one that anybody may have written: its alignment is one number, by
 * which buffers are laid out, and a read is as long as it was asked for at most.
 */
final class CheckedReader implements RangeReader {
  private final Path file;
  private final RangeReader reader;
  private final int alignmentBytes;

  /**
   * @throws IOException if the alignment is not a divisor of {@link #DIRECT_ALIGNMENT_BYTES}; the
   *     reader is closed then
   */
  CheckedReader(Path file, RangeReader reader) throws IOException {
    this.file = file;
    this.reader = reader;
    this.alignmentBytes = reader.alignmentBytes();
    if (alignmentBytes >= 1 && DIRECT_ALIGNMENT_BYTES % alignmentBytes == 0) return;
    reader.close();
    throw new IOException(
        "alignmentBytes of the reader must divide "
            + DIRECT_ALIGNMENT_BYTES
            + ", found "
            + alignmentBytes);
  }

  @Override
  public int alignmentBytes() {
    return alignmentBytes;
  }

  @Override
  public long read(long offsetBytes, long address, long sizeBytes) throws IOException {
    long found = reader.read(offsetBytes, address, sizeBytes);
    if (found < 0 || found > sizeBytes)
      throw new IOException(
          file + ": reader must read 0 to " + sizeBytes + " bytes, found " + found);
    return found;
  }

  @Override
  public void close() {
    reader.close();
  }
}
