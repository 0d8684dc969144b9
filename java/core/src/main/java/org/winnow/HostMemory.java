package org.winnow;

import org.winnow.internal.NativeCpu;
import org.winnow.internal.NativeLoader;

/** Memory outside the Java heap; from 2 MiB on huge pages where the system grants them. */
final class HostMemory extends TensorMemory {
  static final HostMemory INSTANCE = new HostMemory();

  private HostMemory() {}

  @Override
  public String name() {
    return "host";
  }

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
}
