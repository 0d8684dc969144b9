package org.winnow.memory;

import java.util.Arrays;

/** Which slot holds which expert, and in which state. Guarded by the cache's lock. */
final class ExpertSlots {
  static final int FREE = 0;

  /** Will be read for someone who waits. */
  static final int QUEUED = 1;

  /** Will be read ahead when nothing else is to be read. */
  static final int QUEUED_AHEAD = 2;

  static final int READING = 3;
  static final int READY = 4;

  final int[] slotOf; // by expert, -1 = none
  final int[] expertOf; // by slot, as all that follow
  final int[] state;
  final boolean[] pinned; // by the one thread that holds experts of its layer

  /** Will probably be asked for when its layer comes next; evicted only if nothing else can be. */
  final boolean[] hinted;

  final long[] unusedAheadBytes; // bytes of a read-ahead that nobody has asked for yet
  private final boolean[] populated; // has its memory, or is about to get it
  private final int[] free; // a stack
  private int numFree;
  private final EvictionPolicy policy;

  ExpertSlots(int numExperts, int numSlots, EvictionPolicy policy) {
    this.slotOf = new int[numExperts];
    this.expertOf = new int[numSlots];
    this.state = new int[numSlots];
    this.pinned = new boolean[numSlots];
    this.hinted = new boolean[numSlots];
    this.unusedAheadBytes = new long[numSlots];
    this.populated = new boolean[numSlots];
    this.free = new int[numSlots];
    this.policy = policy;
    Arrays.fill(slotOf, -1);
    for (int slot = numSlots - 1; slot >= 0; slot--) free[numFree++] = slot; // low addresses first
  }

  int numSlots() {
    return state.length;
  }

  int numTaken() {
    return state.length - numFree;
  }

  int numPinned() {
    int numPinned = 0;
    for (boolean one : pinned) if (one) numPinned++;
    return numPinned;
  }

  /** Takes a free slot, or returns -1. */
  int takeFree(int expert, int newState) {
    if (numFree == 0) return -1;
    int slot = free[--numFree];
    slotOf[expert] = slot;
    expertOf[slot] = expert;
    state[slot] = newState;
    populated[slot] = true;
    return slot;
  }

  /**
   * One of so many slots that will be taken next and have no memory yet, or -1. It counts as
   * populated from now on.
   */
  int nextToPopulate(int ahead) {
    int slot = firstUnpopulated(ahead);
    if (slot >= 0) populated[slot] = true;
    return slot;
  }

  /** Whether one of so many slots that will be taken next has no memory yet. */
  boolean hasToPopulate(int ahead) {
    return firstUnpopulated(ahead) >= 0;
  }

  private int firstUnpopulated(int ahead) {
    for (int i = numFree - 1; i >= Math.max(0, numFree - ahead); i--) {
      if (!populated[free[i]]) return free[i];
    }
    return -1;
  }

  void release(int slot) {
    slotOf[expertOf[slot]] = -1;
    state[slot] = FREE;
    pinned[slot] = false;
    hinted[slot] = false;
    unusedAheadBytes[slot] = 0;
    free[numFree++] = slot;
  }

  /** Whether all these experts can be held at once, given what others hold. */
  boolean hasRoom(int firstExpert, int[] expertIds, int count) {
    int needed = count;
    for (int i = 0; i < count; i++) {
      if (slotOf[firstExpert + expertIds[i]] >= 0) needed--;
    }
    if (needed <= numFree) return true;
    int evictable = 0;
    for (int slot = 0; slot < state.length; slot++) {
      if (isEvictable(slot)) evictable++;
    }
    for (int i = 0; i < count; i++) {
      int slot = slotOf[firstExpert + expertIds[i]];
      if (slot >= 0 && isEvictable(slot)) evictable--;
    }
    return needed <= numFree + evictable;
  }

  /**
   * The slot to evict for an expert that was chosen, or -1. The policy decides. Experts that were
   * hinted at are spared as long as there is any other.
   */
  int victim() {
    int slot = lowest(false);
    if (slot >= 0) return slot;
    for (slot = 0; slot < state.length; slot++) {
      if (state[slot] == QUEUED_AHEAD && !pinned[slot]) return slot; // nothing has been read for it
    }
    return lowest(true);
  }

  /** The slot to evict for an expert that is read ahead, or -1. */
  int victimForReadAhead() {
    return lowest(false);
  }

  private int lowest(boolean ofHinted) {
    int best = -1;
    double bestRank = 0;
    for (int slot = 0; slot < state.length; slot++) {
      if (state[slot] != READY || pinned[slot] || hinted[slot] != ofHinted) continue;
      double rank = policy.rank(expertOf[slot]);
      if (best < 0 || rank < bestRank) {
        best = slot;
        bestRank = rank;
      }
    }
    return best;
  }

  private boolean isEvictable(int slot) {
    return !pinned[slot] && (state[slot] == READY || state[slot] == QUEUED_AHEAD);
  }
}
