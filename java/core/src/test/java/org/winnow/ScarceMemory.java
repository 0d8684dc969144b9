package org.winnow;

import java.util.HashMap;
import java.util.Map;
import org.winnow.internal.Internals;
import org.winnow.internal.RawMemory;
import org.winnow.internal.TransferQueue;

/**
 * An {@link AnotherMemory} that can run out on demand, refuses copies, and counts allocated bytes.
 */
public final class ScarceMemory implements RawMemory {
  private final RawMemory elsewhere = new AnotherMemory();
  private final TensorMemory memory = Internals.memory("scarce", this);
  private static final RawMemory HOST = Internals.raw(TensorMemory.host());

  private final Map<Long, Long> live = new HashMap<>(); // address -> bytes
  public int allocationsLeft = Integer.MAX_VALUE;
  public long bytesLeft = Long.MAX_VALUE;
  public boolean refusesCopies;
  public boolean refusesReleases;

  /** The memory for tensors. */
  public TensorMemory memory() {
    return memory;
  }

  /** Number of bytes allocated now. */
  public synchronized long usedBytes() {
    return live.values().stream().mapToLong(bytes -> bytes).sum();
  }

  @Override
  public synchronized long allocate(long sizeBytes) {
    if (allocationsLeft-- <= 0 || sizeBytes > bytesLeft)
      throw new BudgetException("scarce's budget", sizeBytes, bytesLeft);
    bytesLeft -= sizeBytes;
    long address = elsewhere.allocate(sizeBytes);
    live.put(address, sizeBytes);
    return address;
  }

  @Override
  public synchronized void free(long address, long sizeBytes) {
    if (refusesReleases) throw new WinnowException("releases are refused");
    elsewhere.free(address, live.remove(address));
  }

  @Override
  public void copyFromHost(long address, long hostAddress, long sizeBytes) {
    if (refusesCopies) throw new WinnowException("copies are refused");
    elsewhere.copyFromHost(address, hostAddress, sizeBytes);
  }

  @Override
  public void copyToHost(long hostAddress, long address, long sizeBytes) {
    elsewhere.copyToHost(hostAddress, address, sizeBytes);
  }

  @Override
  public void copyWithin(long address, long sourceAddress, long sizeBytes) {
    elsewhere.copyWithin(address, sourceAddress, sizeBytes);
  }

  @Override
  public long availableBytes() {
    return Long.MAX_VALUE;
  }

  @Override
  public long releases() {
    return 0;
  }

  @Override
  public TransferQueue openTransfers() {
    return new Transfers();
  }

  private final class Transfers extends TransferQueue {
    @Override
    public long allocateStaging(long sizeBytes) {
      return HOST.allocate(sizeBytes);
    }

    @Override
    public void freeStaging(long address, long sizeBytes) {
      HOST.free(address, sizeBytes);
    }

    @Override
    public void requireOpen() {}

    @Override
    public long mark() {
      return 1;
    }

    @Override
    public void copy(
        long[] addresses, long[] hostAddresses, long[] sizesBytes, int numRanges, long afterMark) {
      for (int i = 0; i < numRanges; i++)
        copyFromHost(addresses[i], hostAddresses[i], sizesBytes[i]);
    }

    @Override
    public void close() {}
  }
}
