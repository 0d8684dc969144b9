package org.winnow.memory;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCpu;

/**
 * Slots on huge pages. Files are read straight into them, and they take memory when they are first
 * used.
 */
final class HostExpertArena extends ExpertArena {
  /** Buffers share huge pages: a read into small pages of 150 kB takes 1.3 times as long. */
  private static final long HUGE_PAGE_BYTES = 2 << 20;

  private final ExpertStore store;
  private final Tensor slots;
  private final long bufferBytes;
  private final Queue<Long> buffers = new ConcurrentLinkedQueue<>(); // that no load uses now
  private final List<Tensor> bufferMemory = new ArrayList<>(); // guards itself

  HostExpertArena(ExpertStore store, int numSlots) {
    this.store = store;
    this.slots = Tensor.allocate(DType.I8, numSlots, store.slotBytes());
    this.bufferBytes = Checkpoint.roundUp(store.stagingBytes(), RangeReader.DIRECT_ALIGNMENT_BYTES);
  }

  @Override
  long address(int slot, ExpertLayout layout, ExpertRole role, int plane) {
    long place = layout.place(role, plane);
    return place < 0 ? 0 : address(slot) + place;
  }

  private long address(int slot) {
    return Internals.address(slots) + slot * store.slotBytes();
  }

  @Override
  long load(ExpertLayout layout, int slot, String what) {
    if (layout.staged().isEmpty() && layout.arranged().isEmpty())
      return ExpertLoader.load(layout, address(slot), 0, what);
    long buffer = takeBuffer();
    try {
      return ExpertLoader.load(layout, address(slot), buffer, what);
    } finally {
      buffers.add(buffer);
    }
  }

  private long takeBuffer() {
    Long free = buffers.poll();
    if (free != null) return free;
    synchronized (bufferMemory) {
      free = buffers.poll(); // another thread may have made some
      if (free != null) return free;
      Tensor memory = Tensor.allocate(DType.I8, Math.max(HUGE_PAGE_BYTES, bufferBytes));
      bufferMemory.add(memory);
      long first = Internals.address(memory);
      for (long end = 2 * bufferBytes; end <= memory.sizeBytes(); end += bufferBytes)
        buffers.add(first + end - bufferBytes);
      return first;
    }
  }

  @Override
  boolean takesMemoryLate() {
    return true;
  }

  @Override
  void populate(int slot) {
    NativeCpu.memory_populate(address(slot), store.slotBytes());
  }

  @Override
  long mark() {
    return 0;
  }

  @Override
  void release(int[] released, int numReleased, long mark) {} // operations end when they return

  @Override
  public void close() {
    bufferMemory.forEach(Tensor::close);
    slots.close();
  }
}
