package org.winnow.moe;

import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.MirroredTensor;
import org.winnow.op.ExpertPlan;

/**
 * Acquires the active experts of a plan in waves. Each wave has as many experts as can be acquired
 * at once. Resident experts come first, because a later wave might find them evicted. A wave is
 * computed in parts, as its experts are read: while one part is computed, the next one is read. If
 * all experts are always resident and the active ones are not known on the host, one wave acquires
 * all experts without waiting, and kernels read the plan's own list.
 */
final class ExpertWaves implements AutoCloseable {
  private final Experts source;
  private final int[] pending; // the experts of all later waves, in order
  private final int[] wave; // the experts of this wave, ascending
  private final int[] part; // the experts of this part of it, ascending
  private final MirroredTensor list; // copy of the part for the kernel
  private @Nullable ExpertPlan whole; // a plan whose single wave has not started, or null
  private @Nullable Tensor experts;
  private int maxPinned; // asked once per batch: the experts might be another program's
  private int numPending;
  private int begin;
  private int numExperts; // of this part
  private int numLeft; // of this wave: in no part yet
  private boolean held;

  /**
   * @param memory memory of the kernels
   */
  ExpertWaves(Experts source, int numExperts, TensorMemory memory) {
    this.source = source;
    pending = new int[numExperts];
    wave = new int[numExperts];
    part = new int[numExperts];
    list = new MirroredTensor(memory, DType.I32, numExperts);
  }

  void begin(ExpertPlan plan) {
    if (!plan.isReadBack() && source.isAlwaysResident()) { // the cheaper question first
      begin = 0;
      numPending = 0;
      whole = plan;
    } else {
      beginReadBack(plan);
    }
  }

  /**
   * As {@link #begin}, but always waits for the plan, so that the host knows the experts of each
   * wave.
   */
  void beginReadBack(ExpertPlan plan) {
    begin = 0;
    numPending = 0;
    whole = null;
    maxPinned = source.maxPinned();
    if (maxPinned < 1)
      throw new IllegalStateException("experts' maxPinned must be at least 1, found " + maxPinned);
    int numActive = plan.copyActiveExperts(wave);
    if (numActive <= maxPinned) {
      System.arraycopy(wave, 0, pending, 0, numActive);
      numPending = numActive;
      return;
    }
    // Absent experts move to the front of wave, behind the read position. Each expert is asked once
    // whether it is resident, because the answer may change.
    int numAbsent = 0;
    for (int i = 0; i < numActive; i++) {
      if (source.isResident(wave[i])) pending[numPending++] = wave[i];
      else wave[numAbsent++] = wave[i];
    }
    System.arraycopy(wave, 0, pending, numPending, numAbsent);
    numPending = numActive;
  }

  /**
   * Provides the next part, and releases the wave before it if that was its last one. Returns false
   * if there is none. The caller must call {@link #end} whatever this returns or throws.
   */
  boolean next() {
    if (whole != null) {
      acquireWhole(whole);
      return true;
    }
    if (numLeft > 0) {
      numExperts = source.awaitMore(part);
      if (numExperts < 1 || numExperts > numLeft)
        throw new IllegalStateException(
            "experts must return 1 to " + numLeft + " that were acquired, found " + numExperts);
    } else {
      end();
      numLeft = nextWave();
      if (numLeft == 0) return false;
      numExperts = source.acquireAsRead(wave, numLeft, part);
      held = true;
    }
    numLeft -= numExperts;
    list(part);
    return true;
  }

  /**
   * Acquires all remaining experts at once. The caller must release them, unless this throws.
   *
   * @throws IllegalStateException unless {@link #isOneWave}
   */
  void acquireOneWave() {
    if (!isOneWave()) throw new IllegalStateException("experts are too many for one wave");
    if (whole != null) {
      acquireWhole(whole);
    } else {
      numExperts = nextWave();
      list(wave);
      source.acquire(wave, numExperts);
    }
    held = false; // the caller's to release
  }

  /** Releases the experts that {@link #next} acquired. */
  void end() {
    numLeft = 0;
    if (!held) return;
    held = false;
    source.release();
  }

  private void acquireWhole(ExpertPlan plan) {
    experts = plan.activeExperts();
    numExperts = plan.maxActiveExperts();
    whole = null;
    source.acquireAll();
    held = true;
  }

  /** Moves the next experts into the wave, and returns how many they are. */
  private int nextWave() {
    int count = Math.min(maxPinned, numPending - begin);
    System.arraycopy(pending, begin, wave, 0, count);
    Arrays.sort(wave, 0, count);
    begin += count;
    return count;
  }

  private void list(int[] ids) {
    list.ints().put(0, ids, 0, numExperts);
    list.fromHost();
    experts = list.tensor();
  }

  /** Whether experts have been acquired. */
  boolean hasWave() {
    return experts != null;
  }

  /** Whether all remaining experts can be acquired at once. */
  boolean isOneWave() {
    return whole != null || numPending <= maxPinned;
  }

  /** [at least numExperts] i32: the experts of this part, ascending; entries of -1 may follow. */
  Tensor experts() {
    return Objects.requireNonNull(experts);
  }

  /** The maximum number of experts that this part computes. */
  int numExperts() {
    return numExperts;
  }

  @Override
  public void close() {
    list.close();
  }
}
