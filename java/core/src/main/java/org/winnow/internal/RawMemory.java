package org.winnow.internal;

/**
 * Allocates and copies in the memory of a backend's tensors. Addresses are trusted. Each call takes
 * effect after all operations issued earlier on this memory and before all issued later. A copy
 * from the host returns when the host's bytes may be reused. A copy to the host returns when the
 * host's bytes hold the values. Safe for use from several threads.
 */
public interface RawMemory {
  /**
   * Allocates zeroed bytes.
   *
   * @param sizeBytes 0 or more; an allocation of 0 bytes is never read or written
   * @return the address of the first, aligned to 64 bytes
   * @throws OutOfMemoryError if the allocation fails
   * @throws org.winnow.BudgetException if it exceeds the backend's memory budget
   */
  long allocate(long sizeBytes);

  /**
   * Releases memory of {@link #allocate} once the operations that use it have run.
   *
   * @param sizeBytes the size given to {@link #allocate}
   */
  void free(long address, long sizeBytes);

  /** Number of bytes that can still be allocated here; {@link Long#MAX_VALUE} if unknown. */
  long availableBytes();

  /** Copies bytes from host memory to this memory. */
  void copyFromHost(long address, long hostAddress, long sizeBytes);

  /** Copies bytes from this memory to host memory. */
  void copyToHost(long hostAddress, long address, long sizeBytes);

  /** Copies bytes within this memory. The two ranges must not overlap. */
  void copyWithin(long address, long sourceAddress, long sizeBytes);

  /**
   * Number of releases so far. While it does not change, all addresses obtained earlier remain
   * valid. Captured graphs contain addresses, so they must be captured again after it changes.
   */
  long releases();

  /**
   * Opens a queue for copies from the host that run concurrently with operations.
   *
   * @throws UnsupportedOperationException for host memory, which needs no transfers
   */
  TransferQueue openTransfers();
}
