package org.winnow.memory;

import java.util.function.ToLongFunction;
import org.winnow.WeightFormat;
import org.winnow.internal.AddressTable;
import org.winnow.internal.Resources;
import org.winnow.memory.ExpertLayout.Role;
import org.winnow.moe.Experts;
import org.winnow.op.ExpertMatrices;

/**
 * One layer's view of the cache. The tables hold addresses only while experts are held, so nothing
 * changes them beside an operation.
 */
final class CachedExperts implements Experts, AutoCloseable {
  final int layer;
  final int firstExpert; // in the numbering across layers
  final int numExperts;
  final ExpertMatrices gateUp;
  final ExpertMatrices down;
  private final AddressTable gateUpTable;
  private final AddressTable downTable;
  private final long[] gateUpRow = new long[4];
  private final long[] downRow = new long[4];
  private final long[] nothing = new long[4];
  private final ExpertCache cache;

  // Guarded by the cache's lock. What is volatile is also read without it: a captured step, which
  // keeps others from issuing operations, must not wait for the lock.
  final int[] held; // expert ids
  int numHeld;
  int numPending; // of those held: not READY yet
  volatile Thread owner;
  RuntimeException failure;
  long passes;
  boolean hasHints;
  volatile boolean complete; // every expert is resident and none will ever be evicted
  volatile boolean published; // the tables name every expert, for good

  CachedExperts(ExpertCache cache, int layer) {
    ExpertStore store = cache.store();
    this.cache = cache;
    this.layer = layer;
    this.firstExpert = store.index(layer, 0);
    this.numExperts = store.numExperts(layer);
    this.held = new int[numExperts];
    this.gateUp =
        new ExpertMatrices(
            cache.memory(),
            WeightFormat.of(store.weightType()),
            numExperts,
            store.intermediateSize(),
            store.hiddenSize(),
            true,
            store.isBiased());
    try {
      this.down =
          new ExpertMatrices(
              cache.memory(),
              WeightFormat.of(store.weightType()),
              numExperts,
              store.hiddenSize(),
              store.intermediateSize(),
              false,
              store.isBiased());
    } catch (RuntimeException | Error e) {
      gateUp.close();
      throw e;
    }
    gateUpTable = AddressTable.of(gateUp);
    downTable = AddressTable.of(down);
  }

  /** Makes an expert resident at these addresses, or absent if all are 0. */
  void publish(int expert, ToLongFunction<Role> address) {
    gateUpRow[0] = address.applyAsLong(Role.GATE);
    gateUpRow[1] = address.applyAsLong(Role.UP);
    gateUpRow[2] = address.applyAsLong(Role.GATE_BIAS);
    gateUpRow[3] = address.applyAsLong(Role.UP_BIAS);
    gateUpTable.put(expert, gateUpRow);
    downRow[0] = address.applyAsLong(Role.DOWN);
    downRow[2] = address.applyAsLong(Role.DOWN_BIAS);
    downTable.put(expert, downRow);
  }

  /** Makes an expert absent. No operation reads a table any more that a caller has closed. */
  void withdraw(int expert) {
    withdraw(gateUpTable, expert, nothing);
    withdraw(downTable, expert, nothing);
  }

  private static void withdraw(AddressTable table, int expert, long[] nothing) {
    try {
      table.put(expert, nothing);
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
    cache.acquire(this, expertIds, count);
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
    cache.release(this);
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
