package org.winnow.moe;

import org.winnow.op.ExpertPlan;
import java.util.Arrays;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.MirroredTensor;

/**
 * Acquires the active experts of a plan in waves of as many as fit: first those that are resident,
 * so that none of them is evicted before its turn. Where all experts are always resident and a
 * device has not said yet which are active, there is one wave of all, and nothing waits: kernels
 * take the plan's own list.
 */
final class ExpertWaves implements AutoCloseable {
  private final Experts source;
  private final int[] pending; // the experts of waves to come, in order
  private final int[] wave; // the experts of this wave, ascending
  private final MirroredTensor list; // the same for the kernel
  private ExpertPlan whole; // whose experts are one wave, none of which has run; or null
  private Tensor experts;
  private int numPending;
  private int begin;
  private int numExperts;

  /**
   * @param memory where the kernel reads
   */
  ExpertWaves(Experts source, TensorMemory memory) {
    this.source = source;
    pending = new int[source.numExperts()];
    wave = new int[source.numExperts()];
    list = new MirroredTensor(memory, DType.I32, source.numExperts());
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

  /** As {@link #begin}, with waves of experts that the host knows. */
  void beginReadBack(ExpertPlan plan) {
    begin = 0;
    numPending = 0;
    whole = null;
    int numActive = plan.copyActiveExperts(wave);
    if (numActive <= source.maxPinned()) {
      System.arraycopy(wave, 0, pending, 0, numActive);
      numPending = numActive;
      return;
    }
    // moved to the front of wave, which is read ahead of it; residency is asked once, since it may
    // change
    int numAbsent = 0;
    for (int i = 0; i < numActive; i++) {
      if (source.isResident(wave[i])) pending[numPending++] = wave[i];
      else wave[numAbsent++] = wave[i];
    }
    System.arraycopy(wave, 0, pending, numPending, numAbsent);
    numPending = numActive;
  }

  /** Acquires the next wave; the caller releases it. Returns false if there is none. */
  boolean next() {
    if (whole != null) {
      experts = whole.activeExperts();
      numExperts = whole.maxActiveExperts();
      whole = null;
      source.acquireAll();
      return true;
    }
    numExperts = Math.min(source.maxPinned(), numPending - begin);
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

  /** Whether {@link #next} once more gives all. */
  boolean isOneWave() {
    return whole != null || numPending <= source.maxPinned();
  }

  /** [at least numExperts] i32: the experts of this wave, ascending, then perhaps -1. */
  Tensor experts() {
    return experts;
  }

  /** The most experts that this wave computes. */
  int numExperts() {
    return numExperts;
  }

  @Override
  public void close() {
    list.close();
  }
}
