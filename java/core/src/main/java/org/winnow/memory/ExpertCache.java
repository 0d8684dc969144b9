package org.winnow.memory;

import static org.winnow.memory.ExpertSlots.READING;
import static org.winnow.memory.ExpertSlots.READY;

import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.winnow.BudgetException;
import org.winnow.DType;
import org.winnow.TensorMemory;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.moe.Experts;

/**
 * The experts of all layers of a model in a fixed number of bytes. An expert is read when it is
 * first chosen and stays until another needs its room; one that no token chooses is never read. The
 * budget and the policy change when weights are read, never which experts run or what they compute.
 *
 * <p>The budget is divided into slots of {@link ExpertStore#slotBytes()} on huge pages, whose
 * memory is taken shortly before it is first used; the last of them may end up to 2 MiB before its
 * huge page does. Slots in a device's memory are filled through page-locked buffers of one expert
 * per reading thread, beside the operations that run. Weights that are not stored as they are
 * computed take a buffer of about 4 MiB per reading thread besides. Experts that are held ({@link
 * Experts#acquire}) are never evicted. If the read of an expert fails, its slot is free again,
 * nothing is held, and the cache goes on.
 *
 * <p>Once a layer's experts are all resident and the budget holds those of all layers, the device's
 * choices are no longer copied back, and hits of that layer are no longer counted there.
 *
 * <p>Safe for use from several threads. Closing waits for those that hold experts; the checkpoint
 * must stay open until then. What a thread held when it ended is released by whoever next waits for
 * it, in {@link Experts#acquire} or {@link #close()}. A cache that was not closed is released after
 * it and its layers have been collected. Flight Recorder events: {@code org.winnow.ExpertLoad},
 * {@code ExpertEvict}, {@code ExpertWait}.
 */
public final class ExpertCache implements AutoCloseable {
  /** Reading less takes no longer than handing it to another thread. */
  private static final long MIN_BYTES_READ_BESIDE = 1 << 20;

  private final ExpertStore store;
  private final TensorMemory memory;
  private final long budgetBytes;
  private final int numSlots;
  private final CachedExperts[] layers;
  private final Resources open = new Resources(); // the arena, then the layers
  private final ExpertArena arena;
  private final ReentrantLock lock = new ReentrantLock();
  private final ExpertResidency residency; // guarded by the lock, as are the next four
  private final ExpertSlots slots;
  private final ExpertReaders readers;
  private final ExpertTally tally;
  private final Condition changed;
  private volatile boolean closing;
  private boolean closed;

  /** In the host's memory; see the next constructor. */
  public ExpertCache(ExpertStore store, long budgetBytes, EvictionPolicy policy) {
    this(store, TensorMemory.host(), budgetBytes, policy);
  }

  /**
   * With f32 activations.
   *
   * @param memory where experts are kept: that of the backend which computes with them
   * @param budgetBytes the most that resident experts may take there
   * @param policy for this cache alone
   * @throws BudgetException if not even one expert fits
   */
  public ExpertCache(
      ExpertStore store, TensorMemory memory, long budgetBytes, EvictionPolicy policy) {
    this(store, memory, budgetBytes, policy, DType.F32);
  }

  /**
   * @param activations f32, or bf16 to round f32 activations to bf16 before they are multiplied by
   *     matrices that are not f32
   * @throws IllegalArgumentException if the activations are neither f32 nor bf16
   * @throws BudgetException if not even one expert fits
   */
  public ExpertCache(
      ExpertStore store,
      TensorMemory memory,
      long budgetBytes,
      EvictionPolicy policy,
      DType activations) {
    long slotBytes = store.slotBytes(memory);
    if (budgetBytes < slotBytes) throw new BudgetException("expert budget", slotBytes, budgetBytes);
    int numExperts = store.numExperts();
    this.store = store;
    this.memory = memory;
    this.budgetBytes = budgetBytes;
    this.numSlots = (int) Math.min(numExperts, budgetBytes / slotBytes);
    policy.begin(numExperts);
    this.layers = new CachedExperts[store.numLayers()];
    try {
      this.arena = open.keep(ExpertArena.open(store, memory, numSlots));
      for (int layer = 0; layer < layers.length; layer++)
        layers[layer] = open.keep(new CachedExperts(this, layer, activations));
      residency = new ExpertResidency(store, policy, arena, layers, numSlots, slotBytes, lock);
      slots = residency.slots;
      readers = residency.readers;
      tally = residency.tally;
      changed = residency.changed;
      readers.begin();
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
  }

  /**
   * The experts of one layer of the store; valid until this cache is closed.
   *
   * @throws IndexOutOfBoundsException if there is no such layer
   */
  public Experts layer(int layer) {
    return layers[Objects.checkIndex(layer, layers.length)];
  }

  public ExpertStore store() {
    return store;
  }

  /** Where experts are kept. */
  public TensorMemory memory() {
    return memory;
  }

  public long budgetBytes() {
    return budgetBytes;
  }

  /** Experts that fit. */
  public int numSlots() {
    return numSlots;
  }

  /** What has happened so far; also after {@link #close()}. */
  public ExpertCounters counters() {
    lock.lock();
    try {
      return residency.counters();
    } finally {
      lock.unlock();
    }
  }

  /** Slots that somebody holds; for tests. */
  int numPinned() {
    lock.lock();
    try {
      return slots.numPinned();
    } finally {
      lock.unlock();
    }
  }

  boolean isResident(CachedExperts layer, int expert) {
    lock.lock();
    try {
      requireOpen();
      int slot = slots.slotOf[layer.firstExpert + expert];
      return slot >= 0 && slots.state[slot] >= READING; // a read that has begun ends as a hit
    } finally {
      lock.unlock();
    }
  }

  void acquire(CachedExperts layer, int[] expertIds, int count) {
    lock.lock();
    try {
      pin(layer, expertIds, count);
      try {
        awaitWeights(layer, count);
        layer.publish(layer.held, count, slots, arena);
        layer.numTold = count;
      } catch (RuntimeException | Error e) { // of a read, a table that the caller closed
        residency.giveBack(layer);
        throw e;
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns once some are there; the rest is read meanwhile if that takes long enough to matter.
   */
  int acquireAsRead(CachedExperts layer, int[] expertIds, int count, int[] ready) {
    lock.lock();
    try {
      pin(layer, expertIds, count);
      try {
        // A device computes an expert in far less time than its weights take to arrive.
        if (!memory.isHost() || layer.numPending * store.slotBytes() < MIN_BYTES_READ_BESIDE)
          awaitWeights(layer, count);
        return tellMore(layer, ready);
      } catch (RuntimeException | Error e) {
        residency.giveBack(layer);
        throw e;
      }
    } finally {
      lock.unlock();
    }
  }

  int awaitMore(CachedExperts layer, int[] ready) {
    lock.lock();
    try {
      if (layer.owner != Thread.currentThread())
        throw new IllegalStateException("this thread holds no experts of layer " + layer.layer);
      return tellMore(layer, ready);
    } finally {
      lock.unlock();
    }
  }

  private int tellMore(CachedExperts layer, int[] ready) {
    long enough = Math.max(1, MIN_BYTES_READ_BESIDE / store.slotBytes());
    awaitWeights(layer, (int) Math.min(layer.numHeld, layer.numTold + enough));
    int numReady = layer.tell(slots, ready);
    layer.publish(ready, numReady, slots, arena);
    if (layer.numPending > 0) readers.wake(); // what this thread would have read
    return numReady;
  }

  /** Waits until there is room, then pins. If it throws, nothing is pinned. */
  private void pin(CachedExperts layer, int[] expertIds, int count) {
    requireNothingHeld();
    requireOpen();
    while (layer.owner != null || !slots.hasRoom(layer.firstExpert, expertIds, count)) {
      if (!isBusy()) throw new IllegalStateException("experts are pinned that nobody holds");
      awaitChange();
      requireOpen();
    }
    try {
      residency.pin(layer, expertIds, count);
    } catch (RuntimeException | Error e) { // of a caller's policy
      residency.giveBack(layer);
      throw e;
    }
  }

  /** Whether every expert of the layer is in a slot that nobody else will ever need. */
  boolean isComplete(CachedExperts layer) {
    if (layer.complete) return true;
    lock.lock();
    try {
      if (numSlots < store.numExperts()) return false;
      for (int expert = layer.firstExpert;
          expert < layer.firstExpert + layer.numExperts;
          expert++) {
        int slot = slots.slotOf[expert];
        if (slot < 0 || slots.state[slot] != READY) return false;
      }
      layer.complete = true;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Makes the tables of a complete layer name all its experts; nothing is held or counted. */
  void acquireAll(CachedExperts layer) {
    if (layer.published && !closing) return;
    lock.lock();
    try {
      requireOpen();
      if (!isComplete(layer))
        throw new IllegalStateException("layer " + layer.layer + " must have all experts resident");
      if (layer.published) return;
      layer.publish(IntStream.range(0, layer.numExperts).toArray(), layer.numExperts, slots, arena);
      layer.published = true; // for good: captured operations read the tables
    } finally {
      lock.unlock();
    }
  }

  void release(CachedExperts layer) {
    if (layer.owner != Thread.currentThread()) {
      if (layer.published) return; // by acquireAll
      throw new IllegalStateException("this thread holds no experts of layer " + layer.layer);
    }
    long mark = ExpertArena.UNKNOWN; // if the device is lost
    try {
      mark = arena.mark(); // before the lock is taken
    } finally {
      lock.lock();
      try {
        residency.release(layer, mark);
      } finally {
        lock.unlock();
      }
    }
  }

  void hint(CachedExperts layer, int[] expertIds, int count) {
    lock.lock();
    try {
      requireOpen();
      residency.hint(layer, expertIds, count);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits for those that hold experts and for running reads, then releases everything. May be
   * called twice, also from several threads.
   *
   * @throws IllegalStateException if this thread holds experts or is inside an operation; nothing
   *     is closed then
   */
  @Override
  public void close() {
    lock.lock();
    try {
      NativeCall.requireOutside();
      requireNothingHeld();
      boolean first = !closing;
      closing = true;
      changed.signalAll();
      readers.end();
      while (first ? isBusy() : !closed) awaitChange();
      if (!first) return;
      tally.closed();
    } finally {
      lock.unlock();
    }
    try {
      // Without the lock: freeing memory waits for running operations, and one of them may be about
      // to ask for it.
      open.close();
    } finally {
      lock.lock();
      closed = true;
      changed.signalAll();
      lock.unlock();
    }
  }

  private boolean isBusy() {
    for (CachedExperts layer : layers) {
      if (layer.owner != null) return true;
    }
    return readers.isReading();
  }

  private void requireNothingHeld() {
    for (CachedExperts layer : layers) {
      if (layer.owner == Thread.currentThread())
        throw new IllegalStateException(
            "this thread holds experts of layer " + layer.layer + ": release them first");
    }
  }

  private void requireOpen() {
    if (closing) throw new IllegalStateException("expert cache is closed");
  }

  /** Uninterruptibly; for a moment only, since a thread that ends tells nobody. */
  private void awaitChange() {
    boolean interrupted = Thread.interrupted();
    try {
      changed.await(100, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      interrupted = true;
    }
    if (interrupted) Thread.currentThread().interrupt();
    for (CachedExperts layer : layers) {
      if (layer.owner != null && !layer.owner.isAlive())
        residency.release(layer, ExpertArena.UNKNOWN);
    }
  }

  /** Reads along with the reader threads until so many of the held experts are there. */
  private void awaitWeights(CachedExperts layer, int count) {
    int numAwaited = layer.numPending - (layer.numHeld - count);
    if (numAwaited > 0 && layer.failure == null) {
      ExpertEvents.@Nullable Wait event = ExpertEvents.beginWait();
      long start = System.nanoTime();
      while (layer.numPending > layer.numHeld - count && layer.failure == null) awaitRead();
      tally.waitNanos += System.nanoTime() - start;
      if (event != null) event.commit(layer.layer, layer.numHeld, numAwaited);
    }
    if (layer.failure == null) return;
    while (layer.numPending > 0) awaitRead(); // those that have begun
    throw layer.failure;
  }

  private void awaitRead() {
    if (!readers.readOne()) changed.awaitUninterruptibly();
  }
}
