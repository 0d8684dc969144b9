package org.winnow.internal;

/**
 * A queue of copies from the host to a device's memory. The copies run concurrently with the
 * device's operations, so weights can arrive while it computes. Safe for use from several threads.
 */
public abstract class TransferQueue implements AutoCloseable {
  /**
   * Allocates staging memory: page-locked host memory, which the device reads directly. It is
   * aligned to 4096 bytes.
   *
   * @throws OutOfMemoryError if the system cannot lock more memory
   */
  public abstract long allocateStaging(long sizeBytes);

  /** Releases memory of {@link #allocateStaging}. */
  public abstract void freeStaging(long address, long sizeBytes);

  /**
   * Must be called, inside a {@link org.winnow.internal.NativeCall}, before staging memory is
   * written. A backend that another thread closes waits for the end of that call, then releases the
   * memory.
   *
   * @throws IllegalStateException if this or the backend is closed
   */
  public abstract void requireOpen();

  /** A mark for the operations issued so far. Later marks are larger. */
  public abstract long mark();

  /**
   * Waits for the operations up to a mark, copies the ranges, and returns when the copies are
   * complete. Operations issued afterwards read the new bytes.
   *
   * @param addresses destination of each range, in the device's memory
   * @param hostAddresses source of each range, in memory of {@link #allocateStaging}
   * @param sizesBytes size of each range
   * @param numRanges number of ranges; further entries of the arrays are ignored
   * @param afterMark a result of {@link #mark}, or 0 to copy at once
   */
  public abstract void copy(
      long[] addresses, long[] hostAddresses, long[] sizesBytes, int numRanges, long afterMark);

  /** Waits for running copies. The staging memory must have been released. May be called twice. */
  @Override
  public abstract void close();
}
