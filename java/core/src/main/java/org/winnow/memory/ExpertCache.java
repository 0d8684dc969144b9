package org.winnow.memory;

import static org.winnow.memory.ExpertSlots.QUEUED;
import static org.winnow.memory.ExpertSlots.QUEUED_AHEAD;
import static org.winnow.memory.ExpertSlots.READING;
import static org.winnow.memory.ExpertSlots.READY;

import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import org.winnow.BudgetException;
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
 * memory is taken only when it is first used; the last of them may end up to 2 MiB before its huge
 * page does. Slots in a device's memory are filled through page-locked buffers of one expert per
 * reading thread, beside the operations that run. Weights that are not stored as they are computed
 * take a buffer of about 4 MiB per reading thread besides. Experts that are held ({@link
 * Experts#acquire}) are never evicted. If the read of an expert fails, its slot is free again,
 * nothing is held, and the cache goes on.
 *
 * <p>Once a layer's experts are all resident and the budget holds those of all layers, the device's
 * choices are no longer copied back, and hits of that layer are no longer counted there.
 *
 * <p>Safe for use from several threads. Closing waits for those that hold experts; the checkpoint
 * must stay open until then. What a thread held when it ended is released by whoever next waits for
 * it, in {@link Experts#acquire} or {@link #close()}. Flight Recorder events: {@code
 * org.winnow.ExpertLoad}, {@code ExpertEvict}, {@code ExpertWait}.
 */
public final class ExpertCache implements AutoCloseable {
  private final ExpertStore store;
  private final TensorMemory memory;
  private final long budgetBytes;
  private final ExpertSlots slots;
  private final EvictionPolicy policy;
  private final CachedExperts[] layers;
  private final Resources open = new Resources(); // the arena, then the layers
  private final ExpertArena arena;
  private final long slotBytes;
  private final ExpertReaders readers;
  private final ExpertTally tally;

  private final ReentrantLock lock = new ReentrantLock();

  /** A read ended, experts were released, or the cache is closing. */
  private final Condition changed = lock.newCondition();

  private final int[] released; // scratch: slots
  private volatile boolean closing;
  private boolean closed;

  /** In the host's memory; see the other constructor. */
  public ExpertCache(ExpertStore store, long budgetBytes, EvictionPolicy policy) {
    this(store, TensorMemory.host(), budgetBytes, policy);
  }

  /**
   * @param memory where experts are kept: that of the backend which computes with them
   * @param budgetBytes the most that resident experts may take there
   * @param policy for this cache alone
   * @throws BudgetException if not even one expert fits
   */
  public ExpertCache(
      ExpertStore store, TensorMemory memory, long budgetBytes, EvictionPolicy policy) {
    slotBytes = store.slotBytes(memory);
    if (budgetBytes < slotBytes) throw new BudgetException("expert budget", slotBytes, budgetBytes);
    int numExperts = store.numExperts();
    int numSlots = (int) Math.min(numExperts, budgetBytes / slotBytes);
    this.store = store;
    this.memory = memory;
    this.budgetBytes = budgetBytes;
    this.policy = policy;
    policy.begin(numExperts);
    this.slots = new ExpertSlots(numExperts, numSlots, policy);
    this.tally = new ExpertTally(numExperts);
    this.released = new int[numSlots];
    this.layers = new CachedExperts[store.numLayers()];
    try {
      this.arena = open.keep(ExpertArena.open(store, memory, numSlots));
      for (int layer = 0; layer < layers.length; layer++)
        layers[layer] = open.keep(new CachedExperts(this, layer));
      readers = new ExpertReaders(lock, store, slots, arena, listener());
      readers.start();
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
    return slots.numSlots();
  }

  /** What has happened so far; also after {@link #close()}. */
  public ExpertCounters counters() {
    lock.lock();
    try {
      return tally.counters(slots.numTaken(), slotBytes);
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
      requireNothingHeld();
      requireOpen();
      while (layer.owner != null || !slots.hasRoom(layer.firstExpert, expertIds, count)) {
        if (!isBusy()) throw new IllegalStateException("experts are pinned that nobody holds");
        awaitChange();
        requireOpen();
      }
      try {
        reserve(layer, expertIds, count);
        if (layer.numPending > 0) awaitWeights(layer);
        layer.publish(layer.held, count, slots, arena);
      } catch (RuntimeException | Error e) { // of a read, a caller's policy, a table that he closed
        unpublish(layer);
        dropQueued(layer);
        layer.numPending = 0;
        unpin(layer); // no operation has read them since they were last released
        throw e;
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether every expert of the layer is in a slot that nobody else will ever need. */
  boolean isComplete(CachedExperts layer) {
    if (layer.complete) return true;
    lock.lock();
    try {
      if (slots.numSlots() < store.numExperts()) return false;
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
      release(layer, mark);
    }
  }

  private void release(CachedExperts layer, long mark) {
    lock.lock();
    try {
      unpublish(layer);
      arena.release(released, unpin(layer), mark);
    } finally {
      lock.unlock();
    }
  }

  void hint(CachedExperts layer, int[] expertIds, int count) {
    lock.lock();
    try {
      requireOpen();
      for (int i = 0; i < count; i++) { // first, so that none of them makes room for another
        int slot = slots.slotOf[layer.firstExpert + expertIds[i]];
        if (slot >= 0) slots.hinted[slot] = true;
      }
      layer.hasHints = true;
      for (int i = 0; i < count; i++) {
        int expert = layer.firstExpert + expertIds[i];
        if (slots.slotOf[expert] >= 0) continue;
        int slot = slots.takeFree(expert, QUEUED_AHEAD);
        if (slot < 0) {
          int victim = slots.victimForReadAhead();
          if (victim < 0) return;
          evict(victim);
          slot = slots.takeFree(expert, QUEUED_AHEAD);
        }
        slots.hinted[slot] = true;
        tally.taken(slots.numTaken());
        readers.addAhead(slot);
      }
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
      if (layer.owner != null && !layer.owner.isAlive()) abandon(layer);
    }
  }

  /** Releases what a thread held that has ended, perhaps while it waited for reads. */
  private void abandon(CachedExperts layer) {
    unpublish(layer);
    dropQueued(layer);
    layer.numPending = 0;
    arena.release(released, unpin(layer), ExpertArena.UNKNOWN);
  }

  /**
   * Pins experts, giving slots to the absent ones; those that are resident first, so that none of
   * them makes room for another.
   */
  private void reserve(CachedExperts layer, int[] expertIds, int count) {
    layer.owner = Thread.currentThread();
    layer.failure = null;
    layer.numHeld = count;
    layer.numPending = 0;
    layer.passes++;
    for (int i = 0; i < count; i++) {
      int expert = layer.firstExpert + expertIds[i];
      layer.held[i] = expertIds[i];
      policy.used(expert, layer.passes);
      tally.chosen(expert);
      if (slots.slotOf[expert] >= 0) pinTaken(layer, slots.slotOf[expert]);
    }
    if (layer.hasHints) forgetHints(layer);
    for (int i = 0; i < count; i++) {
      int expert = layer.firstExpert + expertIds[i];
      if (slots.slotOf[expert] >= 0) continue;
      int slot = slots.takeFree(expert, QUEUED);
      if (slot < 0) {
        evict(slots.victim());
        slot = slots.takeFree(expert, QUEUED);
      }
      slots.pinned[slot] = true;
      enqueue(layer, slot);
    }
    tally.taken(slots.numTaken());
  }

  private void pinTaken(CachedExperts layer, int slot) {
    slots.pinned[slot] = true;
    switch (slots.state[slot]) {
      case READY -> {
        tally.hits++;
        tally.used(slots.unusedAheadBytes[slot]);
        slots.unusedAheadBytes[slot] = 0;
      }
      case QUEUED_AHEAD -> {
        slots.state[slot] = QUEUED;
        enqueue(layer, slot);
      }
      case READING -> layer.numPending++; // by a read-ahead; a hit or a miss when it ends
      default -> throw new IllegalStateException("an expert of a layer that nobody held is queued");
    }
  }

  private void enqueue(CachedExperts layer, int slot) {
    if (layer.numPending++ == 0) readers.add(slot); // the caller itself reads one
    else readers.addForAll(slot);
  }

  /**
   * The layer's chance to use what was hinted at is now: from here on the policy decides about the
   * rest.
   */
  private void forgetHints(CachedExperts layer) {
    layer.hasHints = false;
    for (int expert = layer.firstExpert; expert < layer.firstExpert + layer.numExperts; expert++) {
      int slot = slots.slotOf[expert];
      if (slot < 0) continue;
      slots.hinted[slot] = false;
      if (slots.state[slot] == QUEUED_AHEAD) slots.release(slot);
    }
  }

  /** Reads along with the reader threads until the layer's experts are there. */
  private void awaitWeights(CachedExperts layer) {
    ExpertEvents.Wait event = new ExpertEvents.Wait();
    event.begin();
    event.layer = layer.layer;
    event.experts = layer.numHeld;
    event.absentExperts = layer.numPending;
    long start = System.nanoTime();
    while (layer.numPending > 0) {
      if (!readers.readOne()) changed.awaitUninterruptibly();
    }
    tally.waitNanos += System.nanoTime() - start;
    event.commit();
    if (layer.failure == null) return;
    RuntimeException failure = layer.failure;
    unpin(layer); // no operation has read them since they were last released
    throw failure;
  }

  /** Returns how many slots, then in {@code released}, the layer held. */
  private int unpin(CachedExperts layer) {
    int numReleased = 0;
    for (int i = 0; i < layer.numHeld; i++) {
      int slot = slots.slotOf[layer.firstExpert + layer.held[i]];
      // one whose read failed is not pinned any more, and may be read ahead by now
      if (slot < 0 || !slots.pinned[slot]) continue;
      slots.pinned[slot] = false;
      released[numReleased++] = slot;
    }
    layer.numHeld = 0;
    layer.owner = null;
    layer.failure = null;
    changed.signalAll();
    return numReleased;
  }

  private void unpublish(CachedExperts layer) {
    if (layer.published) return;
    layer.withdraw(layer.held, layer.numHeld);
  }

  private void evict(int slot) {
    int expert = slots.expertOf[slot];
    boolean wasRead = slots.state[slot] == READY;
    tally.wasted(slots.unusedAheadBytes[slot]);
    slots.release(slot);
    if (!wasRead) return; // a read-ahead that had not begun
    tally.evictions++;
    ExpertEvents.Evict event = new ExpertEvents.Evict();
    event.layer = store.layerOf(expert);
    event.expert = expert - layers[event.layer].firstExpert;
    event.bytes = slotBytes;
    event.commit();
  }

  private CachedExperts layerOf(int slot) {
    return layers[store.layerOf(slots.expertOf[slot])];
  }

  private ExpertReaders.Listener listener() {
    return new ExpertReaders.Listener() {
      @Override
      public void loaded(int slot, long readBytes, boolean ahead) {
        slots.state[slot] = READY;
        boolean wanted = slots.pinned[slot];
        if (wanted) layerOf(slot).numPending--;
        if (!ahead) {
          tally.misses++;
          tally.demandBytesRead += readBytes;
        } else {
          tally.readAhead(readBytes);
          if (wanted) {
            tally.hits++;
            tally.used(readBytes);
          } else {
            slots.unusedAheadBytes[slot] = readBytes;
          }
        }
        changed.signalAll();
      }

      @Override
      public void failed(int slot, RuntimeException failure, boolean ahead) {
        tally.failedReads++;
        CachedExperts layer = layerOf(slot);
        boolean wanted = slots.pinned[slot];
        if (ahead && wanted) { // asked for meanwhile: whoever did learns of it if it fails again
          slots.state[slot] = QUEUED;
          readers.add(slot);
        } else {
          slots.release(slot);
          if (wanted) giveUp(layer, failure);
        }
        changed.signalAll();
      }
    };
  }

  /** Whoever waits for the layer learns of it once the reads that have begun are over. */
  private void giveUp(CachedExperts layer, RuntimeException failure) {
    layer.numPending--;
    if (layer.failure == null) layer.failure = failure;
    else if (layer.failure != failure) layer.failure.addSuppressed(failure);
    dropQueued(layer);
  }

  /** What has not been read yet is not needed any more. */
  private void dropQueued(CachedExperts layer) {
    for (int i = 0; i < layer.numHeld; i++) {
      int slot = slots.slotOf[layer.firstExpert + layer.held[i]];
      if (slot >= 0 && slots.state[slot] == QUEUED) {
        slots.release(slot);
        layer.numPending--;
      }
    }
  }
}
