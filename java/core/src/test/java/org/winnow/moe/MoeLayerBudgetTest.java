package org.winnow.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.layer.Linear;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.EvictionPolicy;
import org.winnow.memory.ExpertCache;
import org.winnow.memory.ExpertStore;
import org.winnow.memory.RangeReader;
import org.winnow.memory.SyntheticExperts;
import org.winnow.op.TopKRouter;

/**
 * MoE layers whose experts come from a file through one cache: the budget changes what is read and
 * when, never a bit of the output.
 */
@ContractTest
class MoeLayerBudgetTest {
  private static final int NUM_LAYERS = 2;
  private static final int NUM_EXPERTS = 10;
  private static final int HIDDEN_SIZE = 48;
  private static final int NUM_TOKENS = 24; // together they need every expert
  private static final int FEW_TOKENS =
      12; // less than 4 rows per expert, more per expert of a wave

  @TempDir Path folder;
  private Backend backend;
  private Tensor hidden;
  private Tensor routerWeight;
  private Linear router;
  private Checkpoint checkpoint;
  private ExpertStore store;

  @BeforeEach
  void write() throws IOException {
    var experts =
        new SyntheticExperts(
            folder.resolve("weights"),
            SyntheticExperts.Layout.SEPARATE,
            DType.BF16,
            NUM_LAYERS,
            NUM_EXPERTS,
            HIDDEN_SIZE,
            40,
            104);
    checkpoint = new Checkpoint(experts.tensors(), RangeReader.direct());
    store = experts.store(checkpoint);
    place(BackendsUnderTest.shared());
  }

  private void place(Backend backend) {
    this.backend = backend;
    Random random = new Random(6);
    hidden = backend.f32(NUM_TOKENS, HIDDEN_SIZE);
    routerWeight = backend.f32(NUM_EXPERTS, HIDDEN_SIZE);
    for (int i = 0; i < hidden.size(); i++) hidden.setFloat(i, (float) random.nextGaussian());
    for (int i = 0; i < routerWeight.size(); i++)
      routerWeight.setFloat(i, (float) random.nextGaussian());
    router = new Linear(routerWeight, null);
  }

  @AfterEach
  void close() {
    closePlaced();
    checkpoint.close();
  }

  private void closePlaced() {
    router.close();
    routerWeight.close();
    hidden.close();
  }

  static List<Variant> variants() {
    return BackendsUnderTest.matrixVariants();
  }

  @ParameterizedTest
  @MethodSource("variants")
  void theOutputHasTheSameBitsForEveryBudgetAndPolicy(Variant variant) {
    closePlaced();
    place(variant.backend());
    float[][] expected = outputs(NUM_LAYERS * NUM_EXPERTS, EvictionPolicy.lru());
    for (Supplier<EvictionPolicy> policy : policies()) {
      for (int slots = NUM_LAYERS * NUM_EXPERTS / 10;
          slots <= NUM_LAYERS * NUM_EXPERTS;
          slots += 3) {
        assertThat(outputs(slots, policy.get())).isDeepEqualTo(expected);
      }
    }
  }

  @Test
  void wavesBeginWithWhatIsResident() {
    int slots = 4;
    try (ExpertCache cache = cache(slots, EvictionPolicy.lru());
        MoeLayer layer = layer(cache, 0);
        Tensor output = backend.f32(NUM_TOKENS, HIDDEN_SIZE)) {
      layer.forward(backend, hidden, output);
      assertThat(cache.counters().misses()).isEqualTo(NUM_EXPERTS);
      layer.forward(backend, hidden, output);
      assertThat(cache.counters().misses())
          .as("all that was resident is used before it makes room")
          .isEqualTo(2 * NUM_EXPERTS - slots);
    }
  }

  @Test
  void aCacheClosedDuringTheRunIsRefusedAfterwards() throws InterruptedException {
    for (int round = 0; round < 20; round++) {
      ExpertCache cache = cache(3, EvictionPolicy.lru());
      Thread closer = new Thread(cache::close);
      try (MoeLayer layer = layer(cache, 0);
          Tensor output = backend.f32(NUM_TOKENS, HIDDEN_SIZE)) {
        layer.forward(backend, hidden, output);
        closer.start();
        assertThatThrownBy(
                () -> {
                  for (; ; ) layer.forward(backend, hidden, output);
                })
            .isInstanceOf(IllegalStateException.class);
        closer.join();
      }
    }
  }

  private static Iterable<Supplier<EvictionPolicy>> policies() {
    return List.of(EvictionPolicy::lru, EvictionPolicy::lfu, EvictionPolicy::lfru);
  }

  /** Runs two layers in sequence, for the whole batch and then for its first tokens. */
  private float[][] outputs(int slots, EvictionPolicy policy) {
    try (ExpertCache cache = cache(slots, policy);
        MoeLayer first = layer(cache, 0);
        MoeLayer second = layer(cache, 1);
        Tensor between = backend.f32(NUM_TOKENS, HIDDEN_SIZE);
        Tensor output = backend.f32(NUM_TOKENS, HIDDEN_SIZE)) {
      int[] batches = {NUM_TOKENS, FEW_TOKENS, 1};
      float[][] outputs = new float[batches.length][];
      for (int batch = 0; batch < batches.length; batch++) {
        int numTokens = batches[batch];
        first.forward(backend, hidden.slice(0, numTokens), between.slice(0, numTokens));
        second.forward(backend, hidden.slice(0, numTokens), output.slice(0, numTokens));
        outputs[batch] = output.toFloatArray();
        for (float value : outputs[batch]) assertThat(value).isFinite();
      }
      assertThat(first.routing().numTokens()).isEqualTo(1);
      return outputs;
    }
  }

  private ExpertCache cache(int slots, EvictionPolicy policy) {
    TensorMemory memory = backend.memory();
    return new ExpertCache(store, memory, slots * store.slotBytes(memory), policy);
  }

  private MoeLayer layer(ExpertCache cache, int index) {
    return MoeLayer.builder(router, TopKRouter.softmax(3).build(), cache.layer(index)).build();
  }
}
