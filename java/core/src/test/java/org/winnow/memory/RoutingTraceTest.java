package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.DType;

/** Policies on the recorded routing of a trained model. */
class RoutingTraceTest {
  @TempDir Path folder;

  @Test
  void policiesStandWhereTheyShould() throws IOException {
    RoutingTrace trace = RoutingTrace.ofKjvMoe(6000);
    for (int numSlots : new int[] {32, 64, 96}) {
      double lru = trace.hitRate(EvictionPolicy.lru(), numSlots);
      double lfu = trace.hitRate(EvictionPolicy.lfu(), numSlots);
      double lfru = trace.hitRate(EvictionPolicy.lfru(), numSlots);
      double belady = trace.beladyHitRate(numSlots);
      assertThat(belady).isGreaterThan(lru).isGreaterThan(lfu).isGreaterThan(lfru).isLessThan(1);
      assertThat(lfru).isGreaterThan(lru + 0.02).isGreaterThan(lfu);
    }
    // With less room than one token needs, what was used longest ago is needed next, and LRU evicts
    // just that.
    assertThat(trace.hitRate(EvictionPolicy.lru(), 12)).isLessThan(0.001);
    assertThat(trace.hitRate(EvictionPolicy.lfru(), 12)).isGreaterThan(0.1);
    int all = trace.numLayers * trace.expertsPerLayer;
    assertThat(trace.hitRate(EvictionPolicy.lru(), all))
        .isEqualTo(1 - all / (6000.0 * 16)); // each expert is read once
  }

  @Test
  void theCacheEvictsAsTheReplaySays() throws IOException {
    RoutingTrace trace = RoutingTrace.ofKjvMoe(400);
    SyntheticExperts experts =
        new SyntheticExperts(
            folder.resolve("weights"),
            SyntheticExperts.Layout.SEPARATE,
            DType.BF16,
            4,
            32,
            8,
            8,
            0);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      for (boolean lru : new boolean[] {true, false}) {
        try (ExpertCache cache =
            new ExpertCache(
                store, 40 * store.slotBytes(), lru ? EvictionPolicy.lru() : EvictionPolicy.lfu())) {
          for (int token = 0; token < trace.numTokens; token++) {
            for (int layer = 0; layer < 4; layer++) {
              cache.layer(layer).acquire(trace.experts(token, layer), 4);
              cache.layer(layer).release();
            }
          }
          assertThat(cache.counters().hitRate())
              .isEqualTo(trace.hitRate(lru ? EvictionPolicy.lru() : EvictionPolicy.lfu(), 40));
        }
      }
    }
  }
}
