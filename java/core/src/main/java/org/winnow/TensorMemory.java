package org.winnow;

import org.winnow.internal.NativeCpu;
import org.winnow.internal.NativeLoader;
import org.winnow.internal.RawMemory;
import org.winnow.internal.TransferQueue;

/**
 * A memory that holds tensors: the host's or a device's. A backend computes only on tensors in its
 * {@link Backend#memory()}; for others its operations throw. Programs allocate with {@link Tensor}
 * and {@link Backend#allocate}.
 */
public final class TensorMemory {
  static {
    InternalAccess.install();
  }

  private static final TensorMemory HOST = new TensorMemory("host", new HostMemory());

  private final String name;
  private final RawMemory raw;

  TensorMemory(String name, RawMemory raw) {
    this.name = name;
    this.raw = raw;
  }

  /** Host memory, in which {@link Tensor#allocate(DType, long...)} allocates. */
  public static TensorMemory host() {
    return HOST;
  }

  /** Short name: {@code "host"}, {@code "cuda:0"}. */
  public String name() {
    return name;
  }

  /** Whether this is host memory, which Java and the CPU backend can read. */
  public boolean isHost() {
    return this == HOST;
  }

  /**
   * Number of bytes that can still be allocated here: the backend's memory budget less the bytes in
   * use. {@link Long#MAX_VALUE} for host memory, which has no budget.
   */
  public long availableBytes() {
    return raw.availableBytes();
  }

  /**
   * Number of releases so far. While it does not change, all addresses obtained earlier remain
   * valid. Captured steps contain addresses, so they must be captured again after it changes.
   */
  public long releases() {
    return raw.releases();
  }

  RawMemory raw() {
    return raw;
  }

  /** For messages: {@code "host memory"}, {@code "cuda:0's memory"}. */
  @Override
  public String toString() {
    return isHost() ? "host memory" : name() + "'s memory";
  }

  /**
   * Memory outside the Java heap. Allocations of 2 MiB or more use huge pages if the system grants
   * them.
   */
  private static final class HostMemory implements RawMemory {
    @Override
    public long allocate(long sizeBytes) {
      NativeLoader.load();
      try {
        return NativeCpu.memory_allocate(sizeBytes);
      } catch (RuntimeException e) { // std::bad_alloc
        throw new OutOfMemoryError("no memory for " + sizeBytes + " bytes");
      }
    }

    @Override
    public void free(long address, long sizeBytes) {
      NativeCpu.memory_free(address, sizeBytes);
    }

    @Override
    public long availableBytes() {
      return Long.MAX_VALUE;
    }

    @Override
    public void copyFromHost(long address, long hostAddress, long sizeBytes) {
      NativeCpu.memory_copy(address, hostAddress, sizeBytes);
    }

    @Override
    public void copyToHost(long hostAddress, long address, long sizeBytes) {
      NativeCpu.memory_copy(hostAddress, address, sizeBytes);
    }

    @Override
    public void copyWithin(long address, long sourceAddress, long sizeBytes) {
      NativeCpu.memory_copy(address, sourceAddress, sizeBytes);
    }

    @Override
    public long releases() {
      return 0; // nothing is captured on the host
    }

    @Override
    public TransferQueue openTransfers() {
      throw new UnsupportedOperationException("host memory needs no transfers");
    }
  }
}
