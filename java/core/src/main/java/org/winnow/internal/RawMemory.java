package org.winnow.internal;

/**
 * What a backend does with the memory that its tensors lie in. Addresses are trusted. Everything is
 * ordered after the operations that were issued on this memory before, and before those issued
 * later. A copy from the host returns when the host's bytes may be reused; a copy to the host when
 * they hold the values. Safe for use from several threads.
 */
public interface RawMemory {
  /**
   * Bytes of zero.
   *
   * @param sizeBytes 0 or more; of 0 bytes nothing is ever read or written
   * @return the address of the first, aligned to 64 bytes
   * @throws OutOfMemoryError if there is no memory for so many
   * @throws org.winnow.BudgetException if they exceed what the backend was allowed
   */
  long allocate(long sizeBytes);

  /**
   * Releases what {@link #allocate} returned, after the operations that use it.
   *
   * @param sizeBytes as it was allocated
   */
  void free(long address, long sizeBytes);

  /** The most bytes that can be allocated here now; {@link Long#MAX_VALUE} if nothing is known. */
  long availableBytes();

  /** Overwrites bytes of this memory with bytes of the host's. */
  void copyFromHost(long address, long hostAddress, long sizeBytes);

  /** Overwrites bytes of the host's memory with bytes of this one. */
  void copyToHost(long hostAddress, long address, long sizeBytes);

  /** Overwrites bytes of this memory with others of it; the two do not overlap. */
  void copyWithin(long address, long sourceAddress, long sizeBytes);

  /**
   * Number of releases so far. While it does not change, all addresses obtained earlier remain
   * valid. Captured graphs contain addresses, so they must be captured again after it changes.
   */
  long releases();

  /**
   * A queue for copies from the host that run beside the operations.
   *
   * @throws UnsupportedOperationException for the host's memory: nothing has to be copied there
   */
  TransferQueue openTransfers();
}
