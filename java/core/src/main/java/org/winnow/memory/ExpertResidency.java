package org.winnow.memory;

import static org.winnow.memory.ExpertSlots.QUEUED;
import static org.winnow.memory.ExpertSlots.QUEUED_AHEAD;
import static org.winnow.memory.ExpertSlots.READING;
import static org.winnow.memory.ExpertSlots.READY;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Which experts get slots, and which lose them: layers pin experts, hint at some and let them go,
 * and reads end. Everything is called with the cache's lock; nothing here waits.
 */
final class ExpertResidency implements ExpertReaders.Listener {
  final ExpertSlots slots;
  final ExpertTally tally;
  final ExpertReaders readers;

  /** A read ended, experts were released, or the cache is closing. */
  final Condition changed;

  private final ExpertStore store;
  private final EvictionPolicy policy;
  private final ExpertArena arena;
  private final CachedExperts[] layers;
  private final long slotBytes;
  private final int[] released; // scratch: slots

  ExpertResidency(
      ExpertStore store,
      EvictionPolicy policy,
      ExpertArena arena,
      CachedExperts[] layers,
      int numSlots,
      long slotBytes,
      ReentrantLock lock) {
    this.store = store;
    this.policy = policy;
    this.arena = arena;
    this.layers = layers;
    this.slotBytes = slotBytes;
    this.slots = new ExpertSlots(store.numExperts(), numSlots, policy);
    this.tally = new ExpertTally(store.numExperts());
    this.readers = new ExpertReaders(lock, store, slots, arena, this);
    this.changed = lock.newCondition();
    this.released = new int[numSlots];
  }

  ExpertCounters counters() {
    return tally.counters(slots.numTaken(), slotBytes);
  }

  /**
   * Pins experts, giving slots to the absent ones; those that are resident first, so that none of
   * them makes room for another.
   */
  void pin(CachedExperts layer, int[] expertIds, int count) {
    layer.owner = Thread.currentThread();
    layer.failure = null;
    layer.numHeld = count;
    layer.numTold = 0;
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
    readers.wakeToPopulate();
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

  /** Keeps experts from being evicted, and queues absent ones while that pays and there is room. */
  void hint(CachedExperts layer, int[] expertIds, int count) {
    for (int i = 0; i < count; i++) { // first, so that none of them makes room for another
      int slot = slots.slotOf[layer.firstExpert + expertIds[i]];
      if (slot >= 0) slots.hinted[slot] = true;
    }
    layer.hasHints = true;
    if (!tally.followsHint()) return;
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
  }

  private void evict(int slot) {
    int expert = slots.expertOf[slot];
    boolean wasRead = slots.state[slot] == READY;
    tally.wasted(slots.unusedAheadBytes[slot]);
    slots.release(slot);
    if (!wasRead) return; // a read-ahead that had not begun
    tally.evictions++;
    int layer = store.layerOf(expert);
    ExpertEvents.evicted(layer, expert - layers[layer].firstExpert, slotBytes);
  }

  /**
   * Lets the layer's experts go, which operations issued before the mark may read. Reads that have
   * begun go on, for nobody.
   *
   * @param mark unknown for those of a thread that has ended
   */
  void release(CachedExperts layer, long mark) {
    unpublish(layer);
    dropQueued(layer);
    layer.numPending = 0;
    arena.release(released, unpin(layer), mark);
  }

  /** Releases what could not all be acquired: no operation has read it since its last release. */
  void giveBack(CachedExperts layer) {
    unpublish(layer);
    dropQueued(layer);
    layer.numPending = 0;
    unpin(layer);
  }

  private void unpublish(CachedExperts layer) {
    if (layer.published) return;
    layer.withdraw(layer.held, layer.numHeld);
  }

  /** Returns how many slots, then in {@code released}, the layer held. */
  int unpin(CachedExperts layer) {
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

  @Override
  public void populated() {
    changed.signalAll(); // for who waits to close
  }

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

  private CachedExperts layerOf(int slot) {
    return layers[store.layerOf(slots.expertOf[slot])];
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
