package org.winnow.memory;

import java.io.IOException;
import java.nio.file.Path;

/**
 * Positional reads of one file into memory outside the Java heap. Safe for use from several
 * threads; a thread's interrupt neither stops nor closes it. Nothing is memory-mapped: a mapped
 * file that shrinks kills the JVM.
 */
public interface RangeReader extends AutoCloseable {
  /** Alignment of direct reads: {@code kDirectAlignmentBytes} of {@code winnow/base/file.h}. */
  int DIRECT_ALIGNMENT_BYTES = 4096;

  /** Offsets, addresses and sizes of reads must be multiples of this; 1 if any will do. */
  int alignmentBytes();

  /**
   * Reads bytes of the file. Unsafe: what lies at the address is overwritten.
   *
   * @param offsetBytes where in the file
   * @param address where to; the memory must not be freed meanwhile, and no one but the caller sees
   *     to that
   * @param sizeBytes how many; what lies past the end of the file is not read
   * @return how many were read, fewer than asked only where the file ends
   * @throws IOException if the system reports an error
   * @throws IllegalStateException if this reader is closed
   */
  long read(long offsetBytes, long address, long sizeBytes) throws IOException;

  /** Waits for running reads. May be called twice. */
  @Override
  void close();

  /** How a checkpoint opens its files. */
  @FunctionalInterface
  interface Opener {
    /**
     * @throws IOException naming the file, if it cannot be opened
     */
    RangeReader open(Path file) throws IOException;
  }

  /** Reads past the page cache (O_DIRECT) where the file system allows it, otherwise through it. */
  static Opener direct() {
    return file -> new NativeRangeReader(file, true);
  }

  /** Reads through the page cache, byte ranges exactly as asked for. */
  static Opener buffered() {
    return file -> new NativeRangeReader(file, false);
  }
}
