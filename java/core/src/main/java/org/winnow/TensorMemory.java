package org.winnow;

import org.winnow.internal.NativeCpu;
import org.winnow.internal.NativeLoader;
import org.winnow.internal.RawMemory;
import org.winnow.internal.TransferQueue;

/**
 * Where tensors lie: the host's memory, or that of a device. A backend computes on tensors in its
 * {@link Backend#memory()} only, and refuses others. A program allocates through {@link Tensor} and
 * {@link Backend#allocate}.
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

  /** The host's memory: what {@link Tensor#allocate(DType, long...)} takes. */
  public static TensorMemory host() {
    return HOST;
  }

  /** Short name: {@code "host"}, {@code "cuda:0"}. */
  public String name() {
    return name;
  }

  /** Whether Java and the CPU backend can read it at the tensors' addresses. */
  public boolean isHost() {
    return this == HOST;
  }

  /**
   * The most bytes that can be allocated here now, as far as that is known: what the backend was
   * allowed, less what is in use. Nothing is known of the host's memory: {@link Long#MAX_VALUE}.
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

  /** As messages say it: {@code "host memory"}, {@code "cuda:0's memory"}. */
  @Override
  public String toString() {
    return isHost() ? "host memory" : name() + "'s memory";
  }

  /** Memory outside the Java heap; from 2 MiB on huge pages where the system grants them. */
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
