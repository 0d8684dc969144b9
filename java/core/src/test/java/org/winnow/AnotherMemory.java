package org.winnow;

import org.winnow.internal.Internals;
import org.winnow.internal.RawMemory;
import org.winnow.internal.TransferQueue;

/**
 * Memory that no backend uses and Java cannot read, like a device's. Its addresses are not host
 * addresses, so a read that bypasses the copy calls ends the JVM.
 */
public final class AnotherMemory implements RawMemory {
  private static final long DISTANCE = 1L << 60; // outside of any address space

  private final RawMemory host = Internals.raw(TensorMemory.host());

  /** A new one. */
  public static TensorMemory create() {
    return Internals.memory("elsewhere", new AnotherMemory());
  }

  @Override
  public long allocate(long sizeBytes) {
    return host.allocate(sizeBytes) + DISTANCE;
  }

  @Override
  public void free(long address, long sizeBytes) {
    host.free(address - DISTANCE, sizeBytes);
  }

  @Override
  public long availableBytes() {
    return Long.MAX_VALUE;
  }

  @Override
  public void copyFromHost(long address, long hostAddress, long sizeBytes) {
    host.copyFromHost(address - DISTANCE, hostAddress, sizeBytes);
  }

  @Override
  public void copyToHost(long hostAddress, long address, long sizeBytes) {
    host.copyToHost(hostAddress, address - DISTANCE, sizeBytes);
  }

  @Override
  public void copyWithin(long address, long sourceAddress, long sizeBytes) {
    host.copyWithin(address - DISTANCE, sourceAddress - DISTANCE, sizeBytes);
  }

  @Override
  public long releases() {
    return 0;
  }

  @Override
  public TransferQueue openTransfers() {
    throw new UnsupportedOperationException("elsewhere needs no transfers");
  }
}
