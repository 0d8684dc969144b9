package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemAlloc;
import static org.bytedeco.cuda.global.cudart.cuMemFree;
import static org.bytedeco.cuda.global.cudart.cuMemcpyDtoDAsync;
import static org.bytedeco.cuda.global.cudart.cuMemcpyDtoHAsync;
import static org.bytedeco.cuda.global.cudart.cuMemsetD8Async;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.BytePointer;
import org.winnow.BudgetException;
import org.winnow.internal.RawMemory;
import org.winnow.internal.TransferQueue;

/**
 * A device's memory, as much of it as the budget says. Every tensor is an allocation of its own:
 * the device finds an access outside of it.
 */
final class CudaMemory implements RawMemory {
  private final CudaContext context;
  private final long budgetBytes;
  private final Staging staging;
  private final Map<Long, Long> live = new HashMap<>(); // address -> bytes; used inside the context
  private final List<PinnedMemory> pinned = new ArrayList<>();
  private final Set<CudaTransferQueue> transfers = new HashSet<>();
  private long usedBytes;
  private long releases;

  CudaMemory(CudaContext context, long budgetBytes) {
    this.context = context;
    this.budgetBytes = budgetBytes;
    this.staging = new Staging(context);
  }

  long budgetBytes() {
    return budgetBytes;
  }

  long usedBytes() {
    try (var entry = context.enter("asking for the bytes in use")) {
      return usedBytes;
    }
  }

  @Override
  public long availableBytes() {
    return budgetBytes - usedBytes();
  }

  @Override
  public long allocate(long sizeBytes) {
    try (var entry = context.enterOutsideCapture("allocating device memory")) {
      if (sizeBytes > budgetBytes - usedBytes)
        throw new BudgetException(context.name() + "'s budget", usedBytes + sizeBytes, budgetBytes);
      long[] address = new long[1];
      int status = cuMemAlloc(address, Math.max(1, sizeBytes));
      if (status == CudaError.OUT_OF_MEMORY)
        throw CudaError.outOfMemory(
            "device " + context.name() + " has no memory for " + sizeBytes + " bytes",
            "cuMemAlloc");
      context.check(status, "cuMemAlloc");
      zero(entry.stream(), address[0], sizeBytes);
      live.put(address[0], sizeBytes);
      usedBytes += sizeBytes;
      return address[0];
    }
  }

  /** Of a new block, which is released again if that fails. */
  private void zero(CudaStream stream, long address, long sizeBytes) {
    if (sizeBytes == 0) return;
    int status = cuMemsetD8Async(address, (byte) 0, sizeBytes, stream.handle());
    if (status == CudaError.SUCCESS) return;
    cuMemFree(address);
    context.check(status, "cuMemsetD8Async");
  }

  /** Does nothing once the backend is closed or its context lost, and everything with it. */
  @Override
  public void free(long address, long sizeBytes) {
    if (context.isGone()) return;
    try (var entry = context.enterOutsideCapture("releasing device memory")) {
      if (!live.containsKey(address)) return;
      context.synchronize();
      context.check(cuMemFree(address), "cuMemFree");
      usedBytes -= live.remove(address);
      releases++;
    }
  }

  @Override
  public void copyFromHost(long address, long hostAddress, long sizeBytes) {
    try (var entry = context.enterOutsideCapture("copying to the device")) {
      staging.copyToDevice(entry.stream(), address, hostAddress, sizeBytes);
    }
  }

  @Override
  public void copyToHost(long hostAddress, long address, long sizeBytes) {
    if (sizeBytes == 0) return;
    try (var entry = context.enterOutsideCapture("reading from the device")) {
      context.check(
          cuMemcpyDtoHAsync(
              new HostPointer(hostAddress), address, sizeBytes, entry.stream().handle()),
          "cuMemcpyDtoHAsync");
      entry.stream().synchronize();
    }
  }

  @Override
  public void copyWithin(long address, long sourceAddress, long sizeBytes) {
    if (sizeBytes == 0) return;
    try (var entry = context.enter("copying on the device")) {
      context.check(
          cuMemcpyDtoDAsync(address, sourceAddress, sizeBytes, entry.stream().handle()),
          "cuMemcpyDtoDAsync");
    }
  }

  @Override
  public long releases() {
    try (var entry = context.enter("asking for releases")) {
      return releases;
    }
  }

  @Override
  public TransferQueue openTransfers() {
    try (var entry = context.enter("opening a transfer queue")) {
      CudaTransferQueue opened = new CudaTransferQueue(context, this);
      transfers.add(opened);
      return opened;
    }
  }

  /** Called inside the context. */
  void forget(CudaTransferQueue closed) {
    transfers.remove(closed);
  }

  /** Pinned host memory, released with the device's. */
  BytePointer pin(int sizeBytes) {
    try (var entry = context.enterOutsideCapture("allocating pinned memory")) {
      PinnedMemory block = new PinnedMemory(context, sizeBytes);
      pinned.add(block);
      return new BytePointer(new HostPointer(block.address())).capacity(sizeBytes);
    }
  }

  /** Releases what is left. Called inside the context, when the device is idle or lost. */
  void close() {
    staging.close();
    transfers.forEach(CudaTransferQueue::destroy);
    pinned.forEach(PinnedMemory::close);
    live.keySet().forEach(cudart::cuMemFree);
    live.clear();
  }
}
