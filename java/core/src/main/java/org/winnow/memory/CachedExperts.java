package org.winnow.memory;

import static org.winnow.memory.ExpertRole.DOWN;
import static org.winnow.memory.ExpertRole.DOWN_BIAS;
import static org.winnow.memory.ExpertRole.GATE;
import static org.winnow.memory.ExpertRole.GATE_BIAS;
import static org.winnow.memory.ExpertRole.UP;
import static org.winnow.memory.ExpertRole.UP_BIAS;

import java.util.Arrays;
import org.winnow.DType;
import org.winnow.internal.AddressTable;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.moe.Experts;
import org.winnow.op.ExpertMatrices;

/**
 * One layer's view of the cache. The tables hold addresses only while experts are held, so nothing
 * changes them while an operation runs. In a cache with room for all experts, an expert that was
 * held once stays in the tables: nothing will ever take its place.
 */
final class CachedExperts implements Experts, AutoCloseable {
  final int layer;
  final int firstExpert; // in the numbering across layers
  final int numExperts;
  final ExpertMatrices gateUp;
  final ExpertMatrices down;
  private final AddressTable gateUpTable;
  private final AddressTable downTable;
  private final long[] gateUpRows; // addresses of experts, as the tables take them
  private final long[] downRows;
  private final ExpertCache cache;
  private final boolean keepsAll; // the cache has room for all experts of all layers
  private final boolean[] named; // experts that the tables name for good
  private final int[] unnamed; // working memory

  // Guarded by the cache's lock. Volatile fields are also read without it: a captured step
  // keeps others from issuing operations, so it must not wait for the lock.
  final int[] held; // expert ids
  int numHeld;
  int numTold; // the first of those held: the holder knows that they are READY
  int numPending; // of those held: not READY yet
  volatile Thread owner;
  RuntimeException failure;
  long passes;
  boolean hasHints;
  volatile boolean complete; // every expert is resident and none will ever be evicted
  volatile boolean published; // the tables name every expert, for good

  CachedExperts(ExpertCache cache, int layer, DType activations) {
    ExpertStore store = cache.store();
    this.cache = cache;
    this.layer = layer;
    this.firstExpert = store.index(layer, 0);
    this.numExperts = store.numExperts(layer);
    this.held = new int[numExperts];
    this.keepsAll = cache.numSlots() >= store.numExperts();
    this.named = new boolean[numExperts];
    this.unnamed = new int[numExperts];
    this.gateUp =
        new ExpertMatrices(
            cache.memory(),
            store.format(layer, GATE),
            store.weightLayout(store.format(layer, GATE)),
            ExpertMatrices.productType(store.format(layer, GATE), activations),
            numExperts,
            store.intermediateSize(),
            store.hiddenSize(),
            store.has(layer, UP),
            store.has(layer, GATE_BIAS) || store.has(layer, UP_BIAS));
    try {
      this.down =
          new ExpertMatrices(
              cache.memory(),
              store.format(layer, DOWN),
              store.weightLayout(store.format(layer, DOWN)),
              ExpertMatrices.productType(store.format(layer, DOWN), activations),
              numExperts,
              store.hiddenSize(),
              store.intermediateSize(),
              false,
              store.has(layer, DOWN_BIAS));
    } catch (RuntimeException | Error e) {
      gateUp.close();
      throw e;
    }
    gateUpTable = AddressTable.of(gateUp);
    downTable = AddressTable.of(down);
    gateUpTable.keep(this); // and so the cache, its slots and their memory
    downTable.keep(this);
    gateUpRows = new long[numExperts * (2 * gateUp.format().planes() + 2)];
    downRows = new long[numExperts * (2 * down.format().planes() + 2)];
  }

  /** Makes experts resident that are in slots of the arena. */
  void publish(int[] experts, int count, ExpertSlots slots, ExpertArena arena) {
    int numUnnamed = 0;
    for (int i = 0; i < count; i++) {
      if (!named[experts[i]]) unnamed[numUnnamed++] = experts[i];
    }
    if (numUnnamed == 0) return;
    name(unnamed, numUnnamed, slots, arena);
    for (int i = 0; keepsAll && i < numUnnamed; i++) named[unnamed[i]] = true;
  }

  private void name(int[] experts, int count, ExpertSlots slots, ExpertArena arena) {
    int planes = gateUp.format().planes();
    int downPlanes = down.format().planes();
    for (int i = 0; i < count; i++) {
      ExpertLayout layout = cache.store().layout(layer, experts[i]);
      int slot = slots.slotOf[firstExpert + experts[i]];
      int row = i * (2 * planes + 2);
      for (int plane = 0; plane < planes; plane++) {
        gateUpRows[row + plane] = arena.address(slot, layout, GATE, plane);
        gateUpRows[row + planes + plane] = arena.address(slot, layout, UP, plane);
      }
      gateUpRows[row + 2 * planes] = arena.address(slot, layout, GATE_BIAS, 0);
      gateUpRows[row + 2 * planes + 1] = arena.address(slot, layout, UP_BIAS, 0);
      row = i * (2 * downPlanes + 2);
      for (int plane = 0; plane < downPlanes; plane++)
        downRows[row + plane] = arena.address(slot, layout, DOWN, plane);
      downRows[row + 2 * downPlanes] = arena.address(slot, layout, DOWN_BIAS, 0);
    }
    gateUpTable.put(experts, count, gateUpRows);
    downTable.put(experts, count, downRows);
  }

  /** Moves experts that are READY behind those told, and returns how many: told from now on. */
  int tell(ExpertSlots slots, int[] ready) {
    int numReady = 0;
    for (int i = numTold; i < numHeld; i++) {
      int slot = slots.slotOf[firstExpert + held[i]];
      if (slot < 0 || slots.state[slot] != ExpertSlots.READY) continue;
      int expert = held[i];
      held[i] = held[numTold];
      held[numTold++] = expert;
      ready[numReady++] = expert;
    }
    Arrays.sort(ready, 0, numReady);
    return numReady;
  }

  /**
   * Makes experts absent that may be evicted. If a caller has closed a table, no operation reads it
   * any more.
   */
  void withdraw(int[] experts, int count) {
    if (keepsAll) return;
    withdraw(gateUpTable, experts, count, gateUpRows);
    withdraw(downTable, experts, count, downRows);
  }

  private void withdraw(AddressTable table, int[] experts, int count, long[] rows) {
    Arrays.fill(rows, 0, rows.length / numExperts * count, 0);
    try {
      table.put(experts, count, rows);
    } catch (IllegalStateException e) {
      return; // closed
    }
  }

  @Override
  public int numExperts() {
    return numExperts;
  }

  @Override
  public long hiddenSize() {
    return cache.store().hiddenSize();
  }

  @Override
  public long intermediateSize() {
    return cache.store().intermediateSize();
  }

  @Override
  public int maxPinned() {
    return Math.min(numExperts, cache.numSlots());
  }

  @Override
  public boolean isResident(int expert) {
    if (expert < 0 || expert >= numExperts)
      throw new IllegalArgumentException(
          "expert must lie in [0, " + numExperts + "), found " + expert);
    return cache.isResident(this, expert);
  }

  @Override
  public void acquire(int[] expertIds, int count) {
    requireIds(expertIds, count);
    cache.acquire(this, expertIds, count);
    NativeCall.holdBegins();
  }

  @Override
  public int acquireAsRead(int[] expertIds, int count, int[] ready) {
    requireIds(expertIds, count);
    if (ready == expertIds || ready.length < count)
      throw new IllegalArgumentException(
          "ready must be another array of at least " + count + ", found " + ready.length);
    int numReady = cache.acquireAsRead(this, expertIds, count, ready);
    NativeCall.holdBegins();
    return numReady;
  }

  @Override
  public int awaitMore(int[] ready) {
    return cache.awaitMore(this, ready);
  }

  private void requireIds(int[] expertIds, int count) {
    if (count < 0 || count > expertIds.length || count > maxPinned()) {
      throw new IllegalArgumentException(
          "count must lie in [0, " + Math.min(expertIds.length, maxPinned()) + "], found " + count);
    }
    for (int i = 0, previous = -1; i < count; previous = expertIds[i++]) {
      if (expertIds[i] <= previous || expertIds[i] >= numExperts) {
        throw new IllegalArgumentException(
            "expertIds must ascend and lie in [0, "
                + numExperts
                + "), found "
                + expertIds[i]
                + " after "
                + previous);
      }
    }
  }

  @Override
  public boolean isAlwaysResident() {
    return cache.isComplete(this);
  }

  @Override
  public void acquireAll() {
    cache.acquireAll(this);
  }

  @Override
  public ExpertMatrices gateUp() {
    return gateUp;
  }

  @Override
  public ExpertMatrices down() {
    return down;
  }

  @Override
  public void release() {
    boolean held = owner == Thread.currentThread();
    try {
      cache.release(this);
    } finally {
      if (held) NativeCall.holdEnds();
    }
  }

  @Override
  public void hint(int[] expertIds, int count) {
    if (count < 0 || count > expertIds.length)
      throw new IllegalArgumentException(
          "count must lie in [0, " + expertIds.length + "], found " + count);
    for (int i = 0; i < count; i++) {
      if (expertIds[i] < 0 || expertIds[i] >= numExperts) {
        throw new IllegalArgumentException(
            "expertIds must lie in [0, " + numExperts + "), found " + expertIds[i]);
      }
    }
    cache.hint(this, expertIds, count);
  }

  @Override
  public void close() {
    Resources.closeAll(gateUp, down);
  }
}
