package org.winnow.memory;

import java.util.Arrays;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.internal.TransferQueue;
import org.winnow.memory.ExpertLayout.Role;

/**
 * Slots in a device's memory. Files are read into page-locked host memory, and what the kernels
 * need of it is copied beside the operations that run: not one byte more than the matrices. Within
 * a slot every matrix begins at a multiple of {@link #ALIGNMENT_BYTES}, wherever it lies in its
 * file. A slot is overwritten only when the operations that read its last expert have run.
 */
final class DeviceExpertArena extends ExpertArena {
  /** Where 128-bit loads of a warp need the fewest sectors. */
  static final long ALIGNMENT_BYTES = 256;

  private static final Role[] ROLES = Role.values();

  private final ExpertStore store;
  private final TransferQueue transfers;
  private final TensorMemory memory;
  private final long slotBytes;
  private final Tensor[] slots; // each taken when it is first used
  private final long[] places = new long[ROLES.length];
  private final long[] lastUse; // by slot: the point that the operations reading it reach
  private final long loaderBytes;
  private final Queue<Long> staging = new ConcurrentLinkedQueue<>(); // that no load uses now

  DeviceExpertArena(ExpertStore store, TensorMemory memory, int numSlots) {
    this.store = store;
    long end = 0;
    for (Role role : ROLES) {
      places[role.ordinal()] = end;
      end += aligned(sizeBytes(store, role));
    }
    this.slotBytes = end;
    this.loaderBytes = Checkpoint.roundUp(store.slotBytes(), RangeReader.DIRECT_ALIGNMENT_BYTES);
    this.lastUse = new long[numSlots];
    Arrays.fill(lastUse, UNKNOWN); // the zeros that a new tensor is filled with are an operation
    this.slots = new Tensor[numSlots];
    this.memory = memory;
    this.transfers = Internals.raw(memory).openTransfers();
  }

  /** Bytes of device memory that one expert takes. */
  static long slotBytes(ExpertStore store) {
    long total = 0;
    for (Role role : ROLES) total += aligned(sizeBytes(store, role));
    return total;
  }

  private static long aligned(long sizeBytes) {
    return Checkpoint.roundUp(sizeBytes, ALIGNMENT_BYTES);
  }

  private static long sizeBytes(ExpertStore store, Role role) {
    return switch (role) {
      case GATE, UP, DOWN ->
          store.hiddenSize() * store.intermediateSize() * store.weightType().sizeBytes();
      case GATE_BIAS, UP_BIAS -> store.isBiased() ? store.intermediateSize() * Float.BYTES : 0;
      case DOWN_BIAS -> store.isBiased() ? store.hiddenSize() * Float.BYTES : 0;
    };
  }

  @Override
  long address(int slot, ExpertLayout layout, Role role) {
    if (layout.place(role) < 0) return 0;
    return Internals.address(slots[slot]) + places[role.ordinal()];
  }

  @Override
  long load(ExpertLayout layout, int slot, String what) {
    if (slots[slot] == null) slots[slot] = Tensor.allocate(memory, DType.I8, slotBytes);
    if (lastUse[slot] == UNKNOWN) lastUse[slot] = mark();
    Long buffer = staging.poll();
    if (buffer == null) buffer = transfers.allocateStaging(loaderBytes + store.stagingBytes());
    try {
      long readBytes = read(layout, buffer, what);
      copy(layout, slot, buffer);
      return readBytes;
    } finally {
      staging.add(buffer);
    }
  }

  /** A backend that is closed waits for it, and releases the buffer only then. */
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
    long[] to = new long[ROLES.length];
    long[] from = new long[ROLES.length];
    long[] sizes = new long[ROLES.length];
    int numRanges = 0;
    for (Role role : ROLES) {
      if (layout.place(role) < 0) continue;
      to[numRanges] = address(slot, layout, role);
      from[numRanges] = buffer + layout.place(role);
      sizes[numRanges++] = sizeBytes(store, role);
    }
    transfers.copy(to, from, sizes, numRanges, lastUse[slot]);
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
      open.keep(transfers);
      for (long buffer : staging)
        open.keep(() -> transfers.freeStaging(buffer, loaderBytes + store.stagingBytes()));
      staging.clear();
    }
  }
}
