package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemcpyHtoDAsync;

import java.util.HashMap;
import java.util.Map;
import org.winnow.internal.TransferQueue;

/**
 * Copies on the context's copy stream. A mark is an event on the compute stream; there is a ring of
 * them, and one that was recorded again since stands for a later point, which is late enough.
 */
final class CudaTransferQueue extends TransferQueue {
  private static final int NUM_MARKS = 64;
  private static final int STAGING_ALIGNMENT_BYTES = 4096;

  private final CudaContext context;
  private final CudaMemory memory;
  private final CudaEvent[] marks = new CudaEvent[NUM_MARKS];
  private final Map<Long, PinnedMemory> staging = new HashMap<>(); // by address
  private long lastMark;
  private volatile boolean closed;

  CudaTransferQueue(CudaContext context, CudaMemory memory) {
    this.context = context;
    this.memory = memory;
  }

  @Override
  public long allocateStaging(long sizeBytes) {
    try (var entry = context.enterOutsideCapture("allocating pinned memory")) {
      requireOpen();
      PinnedMemory block = new PinnedMemory(context, sizeBytes, STAGING_ALIGNMENT_BYTES);
      staging.put(block.address(), block);
      return block.address();
    }
  }

  @Override
  public void freeStaging(long address, long sizeBytes) {
    if (context.isGone()) return; // the context releases what is left
    try (var entry = context.enter("releasing pinned memory")) {
      PinnedMemory block = staging.remove(address);
      if (block != null) block.close();
    }
  }

  @Override
  public long mark() {
    try (var entry = context.enterOutsideCapture("marking the end of operations")) {
      synchronized (marks) {
        requireOpen();
        lastMark++;
        int index = (int) (lastMark % NUM_MARKS);
        if (marks[index] == null) marks[index] = new CudaEvent(context);
        marks[index].record(entry.stream());
        return lastMark;
      }
    }
  }

  @Override
  public void copy(
      long[] addresses, long[] hostAddresses, long[] sizesBytes, int numRanges, long afterMark) {
    try (var entry = context.enterCopyStream();
        CudaEvent done = new CudaEvent(context)) {
      CudaStream stream = entry.stream();
      synchronized (marks) {
        requireOpen();
        if (afterMark > 0) stream.waitFor(marks[(int) (afterMark % NUM_MARKS)]);
      }
      for (int i = 0; i < numRanges; i++) {
        context.check(
            cuMemcpyHtoDAsync(
                addresses[i], new HostPointer(hostAddresses[i]), sizesBytes[i], stream.handle()),
            "cuMemcpyHtoDAsync");
      }
      done.record(stream);
      done.synchronize();
    }
  }

  @Override
  public void requireOpen() {
    context.requireOpen();
    if (closed) throw new IllegalStateException("transfer queue is closed");
  }

  @Override
  public void close() {
    if (context.isGone()) return; // the context releases what is left
    try (var entry = context.enter("closing a transfer queue");
        var copying = context.enterCopyStream()) {
      copying.stream().synchronize();
      destroy();
      memory.forget(this);
    }
  }

  /** Called inside the context, when the device is idle or lost. */
  void destroy() {
    synchronized (marks) {
      if (closed) return;
      closed = true;
      for (CudaEvent mark : marks) {
        if (mark != null) mark.close();
      }
    }
    staging.values().forEach(PinnedMemory::close);
    staging.clear();
  }
}
