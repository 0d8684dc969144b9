package org.winnow.memory;

import java.util.Arrays;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Release;
import org.winnow.internal.Resources;
import org.winnow.internal.TransferQueue;
import org.winnow.memory.ExpertLayout.Plane;

/**
 * Slots in a device's memory. Files are read into page-locked host memory. From there the expert's
 * planes, and no other byte, are copied to the device while operations run. In a slot the planes
 * follow each other, each at a multiple of {@link #ALIGNMENT_BYTES}, wherever they lie in their
 * files. A slot is overwritten only after the operations that read its last expert have run.
 */
final class DeviceExpertArena extends ExpertArena {
  /** At this alignment, 128-bit loads of a warp need the fewest sectors. */
  static final long ALIGNMENT_BYTES = 256;

  private final ExpertStore store;
  private final TransferQueue transfers;
  private final TensorMemory memory;
  private final long slotBytes;
  private final Tensor[] slots; // each taken when it is first used
  private final long[] lastUse; // by slot: the point that the operations reading it reach
  private final long loaderBytes;
  private final long bufferBytes;
  private final Queue<Long> staging = new ConcurrentLinkedQueue<>(); // that no load uses now
  private final Release release;

  DeviceExpertArena(ExpertStore store, TensorMemory memory, int numSlots) {
    this.store = store;
    this.slotBytes = slotBytes(store);
    this.loaderBytes = Checkpoint.roundUp(store.slotBytes(), RangeReader.DIRECT_ALIGNMENT_BYTES);
    this.bufferBytes = loaderBytes + store.stagingBytes();
    this.lastUse = new long[numSlots];
    Arrays.fill(lastUse, UNKNOWN); // filling a new tensor with zeros is an operation too
    this.slots = new Tensor[numSlots];
    this.memory = memory;
    TransferQueue opened = Internals.raw(memory).openTransfers();
    Queue<Long> buffers = staging;
    long bytes = bufferBytes;
    this.transfers = opened;
    this.release = new Release(this, () -> release(opened, buffers, bytes));
  }

  private static void release(TransferQueue transfers, Queue<Long> buffers, long bufferBytes) {
    try (Resources open = new Resources()) {
      open.keep(transfers);
      for (long buffer : buffers) open.keep(() -> transfers.freeStaging(buffer, bufferBytes));
      buffers.clear();
    }
  }

  /** Bytes of device memory that one expert takes: the largest of any layer. */
  static long slotBytes(ExpertStore store) {
    long largest = 0;
    for (int layer = 0; layer < store.numLayers(); layer++) {
      for (int expert = 0; expert < store.numExperts(layer); expert++)
        largest = Math.max(largest, sizeBytes(store.layout(layer, expert)));
    }
    return largest;
  }

  private static long sizeBytes(ExpertLayout layout) {
    long total = 0;
    for (Plane plane : layout.planes()) total += aligned(plane.sizeBytes());
    return total;
  }

  private static long aligned(long sizeBytes) {
    return Checkpoint.roundUp(sizeBytes, ALIGNMENT_BYTES);
  }

  @Override
  long address(int slot, ExpertLayout layout, ExpertRole role, int index) {
    long address = Internals.address(slots[slot]);
    for (Plane plane : layout.planes()) {
      if (plane.role() == role && plane.plane() == index) return address;
      address += aligned(plane.sizeBytes());
    }
    return 0;
  }

  @Override
  long load(ExpertLayout layout, int slot, String what) {
    if (slots[slot] == null) slots[slot] = Tensor.allocate(memory, DType.I8, slotBytes);
    if (lastUse[slot] == UNKNOWN) lastUse[slot] = mark();
    Long buffer = staging.poll();
    if (buffer == null) buffer = transfers.allocateStaging(bufferBytes);
    try {
      long readBytes = read(layout, buffer, what);
      copy(layout, slot, buffer);
      return readBytes;
    } finally {
      staging.add(buffer);
    }
  }

  /** Closing the backend waits for this, and only then releases the buffer. */
  private long read(ExpertLayout layout, long buffer, String what) {
    NativeCall call = NativeCall.enter();
    try {
      transfers.requireOpen();
      return ExpertLoader.load(layout, buffer, buffer + loaderBytes, what);
    } finally {
      call.exit();
    }
  }

  private void copy(ExpertLayout layout, int slot, long buffer) {
    int numPlanes = layout.planes().size();
    long[] to = new long[numPlanes];
    long[] from = new long[numPlanes];
    long[] sizes = new long[numPlanes];
    long address = Internals.address(slots[slot]);
    for (int i = 0; i < numPlanes; i++) {
      Plane plane = layout.planes().get(i);
      to[i] = address;
      from[i] = buffer + plane.place();
      sizes[i] = plane.sizeBytes();
      address += aligned(plane.sizeBytes());
    }
    transfers.copy(to, from, sizes, numPlanes, lastUse[slot]);
  }

  @Override
  long mark() {
    return transfers.mark();
  }

  @Override
  void release(int[] released, int numReleased, long mark) {
    for (int i = 0; i < numReleased; i++) lastUse[released[i]] = mark;
  }

  @Override
  public void close() {
    try (Resources open = new Resources()) {
      for (Tensor slot : slots) {
        if (slot != null) open.keep(slot);
      }
      open.keep(release::run);
    }
  }
}
