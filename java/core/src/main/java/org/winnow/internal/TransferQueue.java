package org.winnow.internal;

/**
 * Copies from the host into a device's memory that run beside its operations, on a queue of their
 * own: how weights reach a device while it computes. Safe for use from several threads.
 */
public abstract class TransferQueue implements AutoCloseable {
  /**
   * Host memory that the device copies from without a detour (page-locked), aligned to 4096 bytes.
   *
   * @throws OutOfMemoryError if the system locks no more
   */
  public abstract long allocateStaging(long sizeBytes);

  /** Releases what {@link #allocateStaging} returned. */
  public abstract void freeStaging(long address, long sizeBytes);

  /**
   * Asked before something is written to staging memory, within {@link
   * org.winnow.internal.NativeCall}: a backend that is closed meanwhile waits until that is left,
   * and then releases the memory.
   *
   * @throws IllegalStateException if this, or the backend, is closed
   */
  public abstract void requireOpen();

  /** The point that the operations issued so far reach; later points are larger. */
  public abstract long mark();

  /**
   * Copies ranges once the operations up to a point have run, and returns when the bytes are there:
   * operations issued from then on read them.
   *
   * @param addresses where to, in the device's memory
   * @param hostAddresses where from, in memory of {@link #allocateStaging}
   * @param sizesBytes how many
   * @param numRanges how many entries of the three arrays count
   * @param afterMark what {@link #mark} returned; 0: at once
   */
  public abstract void copy(
      long[] addresses, long[] hostAddresses, long[] sizesBytes, int numRanges, long afterMark);

  /** Waits for running copies. The staging memory must have been released. May be called twice. */
  @Override
  public abstract void close();
}
