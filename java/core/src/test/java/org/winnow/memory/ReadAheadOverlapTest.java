package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.DType;

/**
 * Read-ahead of the true next experts runs beside computing: with both made of sleep, so that a
 * busy machine does not matter, the time is that of the longer one. ExpertStreaming among the
 * benchmarks measures the same with a disk and a processor.
 */
class ReadAheadOverlapTest {
  private static final int NUM_LAYERS = 12;
  private static final int NUM_EXPERTS = 12;
  private static final long READ_MS = 10; // per expert; three at once, so about 40 per layer

  @TempDir Path folder;

  @Test
  void takesAsLongAsTheLongerOfBoth() throws IOException {
    FaultyReaders readers = new FaultyReaders();
    readers.beforeRead(() -> sleep(READ_MS));
    SyntheticExperts experts =
        new SyntheticExperts(
            folder.resolve("weights"),
            SyntheticExperts.Layout.SEPARATE,
            DType.BF16,
            NUM_LAYERS,
            NUM_EXPERTS,
            8,
            8,
            0);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers)) {
      ExpertStore store = experts.store(checkpoint);
      for (long computeMs : new long[] {20, 50, 80}) {
        double best = 0;
        for (int attempt = 0; attempt < 4 && best < 0.9; attempt++) {
          double read = seconds(store, 0, false);
          double compute = NUM_LAYERS * computeMs * 1e-3;
          double both = seconds(store, computeMs, true);
          // One layer cannot overlap: there is nothing to compute while the first is read, nor to
          // read while the last computes.
          double unavoidable = Math.min(read, compute) / NUM_LAYERS;
          best = Math.max(best, Math.max(read, compute) / (both - unavoidable));
        }
        assertThat(best)
            .as("computing for " + computeMs + " ms per layer")
            .isGreaterThanOrEqualTo(0.9);
        double without = seconds(store, computeMs, false);
        assertThat(without)
            .isGreaterThan(1.2 * seconds(store, computeMs, true)); // so the above is not for free
      }
    }
  }

  private static double seconds(ExpertStore store, long computeMs, boolean readAhead) {
    int[] ids = IntStream.range(0, NUM_EXPERTS).toArray();
    try (ExpertCache cache =
        new ExpertCache(store, 2 * NUM_EXPERTS * store.slotBytes(), EvictionPolicy.lru())) {
      long start = System.nanoTime();
      for (int layer = 0; layer < NUM_LAYERS; layer++) {
        cache.layer(layer).acquire(ids, NUM_EXPERTS);
        if (readAhead && layer + 1 < NUM_LAYERS) cache.layer(layer + 1).hint(ids, NUM_EXPERTS);
        if (computeMs > 0) sleep(computeMs);
        cache.layer(layer).release();
      }
      double seconds = (System.nanoTime() - start) * 1e-9;
      ExpertCounters counters = cache.counters();
      assertThat(counters.readAheadWastedBytes() + counters.readAheadPendingBytes()).isZero();
      assertThat(counters.demandBytesRead() + counters.readAheadUsefulBytes())
          .isEqualTo(store.numExperts() * store.readBytes(0, 0));
      return seconds;
    }
  }

  private static void sleep(long ms) {
    long end = System.nanoTime() + ms * 1_000_000;
    for (long left; (left = end - System.nanoTime()) > 0; ) LockSupport.parkNanos(left);
  }
}
