package org.winnow.moe;

import java.nio.IntBuffer;
import java.util.Arrays;
import org.winnow.DType;
import org.winnow.Tensor;

/**
 * Acquires the active experts of a plan in waves of as many as fit: first those that are resident,
 * so that none of them is evicted before its turn.
 */
final class ExpertWaves implements AutoCloseable {
  private final Experts source;
  private final int[] pending; // the experts of waves to come, in order
  private final int[] wave; // the experts of this wave, ascending
  private final Tensor experts; // the same for the kernel
  private final IntBuffer entries;
  private int numPending;
  private int begin;
  private int numExperts;

  ExpertWaves(Experts source) {
    this.source = source;
    pending = new int[source.numExperts()];
    wave = new int[source.numExperts()];
    experts = Tensor.allocate(DType.I32, source.numExperts());
    entries = experts.asByteBuffer().asIntBuffer();
  }

  void begin(ExpertPlan plan) {
    int numActive = plan.copyActiveExperts(wave);
    begin = 0;
    numPending = 0;
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
    numExperts = Math.min(source.maxPinned(), numPending - begin);
    if (numExperts == 0) return false;
    System.arraycopy(pending, begin, wave, 0, numExperts);
    Arrays.sort(wave, 0, numExperts);
    entries.put(0, wave, 0, numExperts);
    begin += numExperts;
    source.acquire(wave, numExperts);
    return true;
  }

  /** [at least numExperts] i32, ascending: the experts of this wave. */
  Tensor experts() {
    return experts;
  }

  int numExperts() {
    return numExperts;
  }

  @Override
  public void close() {
    experts.close();
  }
}
