package org.winnow.memory;

import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.file.Path;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;

/**
 * Positional reads of one file into memory outside the Java heap. Safe for use from several
 * threads; a thread's interrupt neither stops nor closes it. Nothing is memory-mapped: a mapped
 * file that shrinks kills the JVM. A read of a file whose size or time of modification has changed
 * since it was opened fails.
 */
public abstract class RangeReader implements AutoCloseable {
  /** Alignment of direct reads: {@code kDirectAlignmentBytes} of {@code winnow/base/file.h}. */
  static final int DIRECT_ALIGNMENT_BYTES = 4096;

  /** Offsets, addresses and sizes of reads must be multiples of this; 1 if any will do. */
  public abstract int alignmentBytes();

  /**
   * Reads bytes of the file.
   *
   * @param offsetBytes where in the file
   * @param address where to; the caller must not free this memory before the read returns
   * @param sizeBytes how many; what lies past the end of the file is not read
   * @return how many were read, fewer than asked only where the file ends
   * @throws IOException if the system reports an error or the file has changed
   * @throws IllegalStateException if this reader is closed
   */
  abstract long read(long offsetBytes, long address, long sizeBytes) throws IOException;

  /**
   * Reads bytes of the file into a tensor, as many as it has.
   *
   * @param offsetBytes where in the file; a multiple of {@link #alignmentBytes()}, as the tensor's
   *     bytes and address must be
   * @param target in the host's memory, overwritten
   * @return how many bytes were read: fewer than the tensor has only where the file ends
   * @throws IllegalArgumentException if the offset is negative, or the tensor lies elsewhere or is
   *     not aligned
   * @throws IOException if the system reports an error or the file has changed
   * @throws IllegalStateException if this reader or the tensor is closed
   */
  public final long read(long offsetBytes, Tensor target) throws IOException {
    NativeCall call = NativeCall.enter();
    try {
      target.requireIn("target", TensorMemory.host());
      long address = Internals.address(target);
      int alignment = alignmentBytes();
      if (offsetBytes < 0 || (offsetBytes | address | target.sizeBytes()) % alignment != 0)
        throw new IllegalArgumentException(
            "offsetBytes must not be negative, and it, the target's address and its bytes must be"
                + " multiples of "
                + alignment
                + ", found "
                + offsetBytes
                + " and "
                + target);
      return read(offsetBytes, address, target.sizeBytes());
    } finally {
      call.exit();
      Reference.reachabilityFence(target);
    }
  }

  /** Waits for running reads. May be called twice. */
  @Override
  public abstract void close();

  /** How a checkpoint opens its files. */
  @FunctionalInterface
  public interface Opener {
    /**
     * @throws IOException naming the file, if it cannot be opened
     */
    RangeReader open(Path file) throws IOException;
  }

  /** Reads past the page cache (O_DIRECT) where the file system allows it, otherwise through it. */
  public static Opener direct() {
    return file -> new NativeRangeReader(file, true, true);
  }

  /** Reads through the page cache, byte ranges exactly as asked for. */
  public static Opener buffered() {
    return file -> new NativeRangeReader(file, false, true);
  }
}
