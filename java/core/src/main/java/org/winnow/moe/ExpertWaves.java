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
 * at once. Resident experts come first, because a later wave might find them evicted. If all
 * experts are always resident and the active ones are not known on the host, one wave acquires all
 * experts without waiting, and kernels read the plan's own list.
 */
final class ExpertWaves implements AutoCloseable {
  private final Experts source;
  private final int[] pending; // the experts of all later waves, in order
  private final int[] wave; // the experts of this wave, ascending
  private final MirroredTensor list; // copy of the wave for the kernel
  private @Nullable ExpertPlan whole; // a plan whose single wave has not started, or null
  private @Nullable Tensor experts;
  private int maxPinned; // asked once per batch: the experts might be another program's
  private int numPending;
  private int begin;
  private int numExperts;

  /**
   * @param memory memory of the kernels
   */
  ExpertWaves(Experts source, int numExperts, TensorMemory memory) {
    this.source = source;
    pending = new int[numExperts];
    wave = new int[numExperts];
    list = new MirroredTensor(memory, DType.I32, numExperts);
  }

  void begin(ExpertPlan plan) {
    if (source.isAlwaysResident() && !plan.isReadBack()) {
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

  /** Acquires the next wave, which the caller must release. Returns false if there is none. */
  boolean next() {
    if (whole != null) {
      experts = whole.activeExperts();
      numExperts = whole.maxActiveExperts();
      whole = null;
      source.acquireAll();
      return true;
    }
    numExperts = Math.min(maxPinned, numPending - begin);
    if (numExperts == 0) return false;
    System.arraycopy(pending, begin, wave, 0, numExperts);
    Arrays.sort(wave, 0, numExperts);
    list.ints().put(0, wave, 0, numExperts);
    list.fromHost();
    experts = list.tensor();
    begin += numExperts;
    source.acquire(wave, numExperts);
    return true;
  }

  /** Whether {@link #next} has returned a wave. */
  boolean hasWave() {
    return experts != null;
  }

  /** Whether one call of {@link #next} acquires all remaining experts. */
  boolean isOneWave() {
    return whole != null || numPending <= maxPinned;
  }

  /** [at least numExperts] i32: the experts of this wave, ascending; entries of -1 may follow. */
  Tensor experts() {
    return Objects.requireNonNull(experts);
  }

  /** The maximum number of experts that this wave computes. */
  int numExperts() {
    return numExperts;
  }

  @Override
  public void close() {
    list.close();
  }
}
