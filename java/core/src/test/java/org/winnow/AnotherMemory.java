package org.winnow;

/**
 * Memory that no backend computes in and nobody may look into, like a device's: its addresses are
 * not the host's, so a read that does not go through a copy ends the JVM.
 */
public final class AnotherMemory extends TensorMemory {
  private static final long DISTANCE = 1L << 60; // outside of any address space

  @Override
  public String name() {
    return "elsewhere";
  }

  @Override
  public long allocate(long sizeBytes) {
    return host().allocate(sizeBytes) + DISTANCE;
  }

  @Override
  public void free(long address, long sizeBytes) {
    host().free(address - DISTANCE, sizeBytes);
  }

  @Override
  public void copyFromHost(long address, long hostAddress, long sizeBytes) {
    host().copyFromHost(address - DISTANCE, hostAddress, sizeBytes);
  }

  @Override
  public void copyToHost(long hostAddress, long address, long sizeBytes) {
    host().copyToHost(hostAddress, address - DISTANCE, sizeBytes);
  }

  @Override
  public void copyWithin(long address, long sourceAddress, long sizeBytes) {
    host().copyWithin(address - DISTANCE, sourceAddress - DISTANCE, sizeBytes);
  }
}
