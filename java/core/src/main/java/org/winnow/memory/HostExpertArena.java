package org.winnow.memory;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.Internals;

/**
 * Slots on huge pages. Files are read straight into them, and they take memory when they are first
 * used.
 */
final class HostExpertArena extends ExpertArena {
  private final ExpertStore store;
  private final Tensor slots;
  private final Queue<Tensor> buffers = new ConcurrentLinkedQueue<>(); // that no load uses now

  HostExpertArena(ExpertStore store, int numSlots) {
    this.store = store;
    this.slots = Tensor.allocate(DType.I8, numSlots, store.slotBytes());
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
    Tensor buffer = buffers.poll();
    if (buffer == null) buffer = Tensor.allocate(DType.I8, store.stagingBytes());
    try {
      return ExpertLoader.load(layout, address(slot), Internals.address(buffer), what);
    } finally {
      buffers.add(buffer);
    }
  }

  @Override
  long mark() {
    return 0;
  }

  @Override
  void release(int[] released, int numReleased, long mark) {} // operations end when they return

  @Override
  public void close() {
    buffers.forEach(Tensor::close);
    slots.close();
  }
}
