package org.winnow;

/**
 * Where tensors lie: the host's memory, or that of a device. A backend computes on tensors in its
 * {@link Backend#memory()} only, and takes any in another for an error.
 *
 * <p>Everything is ordered after the operations that were issued on this memory before, and before
 * those issued later. A copy from the host returns when the host's bytes may be reused; a copy to
 * the host when they hold the values. Addresses are trusted: tensors check them. Safe for use from
 * several threads.
 */
public abstract class TensorMemory {
  /** The host's memory: what {@link Tensor#allocate(DType, long...)} takes. */
  public static TensorMemory host() {
    return HostMemory.INSTANCE;
  }

  /** Short name: {@code "host"}, {@code "cuda:0"}. */
  public abstract String name();

  /** Whether Java and the CPU backend can read it at the tensors' addresses. */
  public final boolean isHost() {
    return this == HostMemory.INSTANCE;
  }

  /**
   * Bytes of zero.
   *
   * @param sizeBytes 0 or more; of 0 bytes nothing is ever read or written
   * @return the address of the first, aligned to 64 bytes
   * @throws OutOfMemoryError if there is no memory for so many
   * @throws BudgetException if they exceed what the backend was allowed
   */
  public abstract long allocate(long sizeBytes);

  /**
   * Releases what {@link #allocate} returned, after the operations that use it.
   *
   * @param sizeBytes as it was allocated
   */
  public abstract void free(long address, long sizeBytes);

  /**
   * The most bytes that can be allocated here now, as far as that is known: what the backend was
   * allowed, less what is in use. Of the host's memory nothing is known.
   */
  public long availableBytes() {
    return Long.MAX_VALUE;
  }

  /** Overwrites bytes of this memory with bytes of the host's. */
  public abstract void copyFromHost(long address, long hostAddress, long sizeBytes);

  /** Overwrites bytes of the host's memory with bytes of this one. */
  public abstract void copyToHost(long hostAddress, long address, long sizeBytes);

  /** Overwrites bytes of this memory with others of it; the two do not overlap. */
  public abstract void copyWithin(long address, long sourceAddress, long sizeBytes);

  /**
   * How often memory was released: for as long as this stays the same, every address that was valid
   * is. Captured operations hold addresses.
   */
  public long releases() {
    return 0; // nothing is captured on the host
  }

  /**
   * A queue for copies from the host that run beside the operations.
   *
   * @throws UnsupportedOperationException for the host's memory: nothing has to be copied there
   */
  public TransferQueue openTransfers() {
    throw new UnsupportedOperationException(this + " needs no transfers");
  }

  /** As messages say it: {@code "host memory"}, {@code "cuda:0's memory"}. */
  @Override
  public final String toString() {
    return isHost() ? "host memory" : name() + "'s memory";
  }
}
