package org.winnow.workload;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;

/** Bytes and operations, counted one by one, and beside those of the dense baseline. */
class WorkTest {
  private static final int[] TOKENS = {1, 16, 128, 512};
  private static final DType[] TYPES = {DType.F32, DType.BF16, DType.F16};

  /** One product and one sum at a time, and each weight the first time that it is read. */
  private static final class Counter {
    private final BitSet read = new BitSet();
    private long operations;

    /** A row times a matrix that begins at that weight. */
    void multiply(int firstWeight, int rows, int columns) {
      for (int n = 0; n < rows; n++) {
        for (int k = 0; k < columns; k++) {
          read.set(firstWeight + n * columns + k);
          operations += 2;
        }
      }
    }

    Work work(int elementBytes) {
      return new Work((double) read.cardinality() * elementBytes, operations);
    }
  }

  @ParameterizedTest
  @CsvSource({"1, BF16", "3, F32", "20, F16"})
  void aLayerIsCountedRight(int numTokens, DType type) {
    MoeShape model = MoeShape.KJV_MOE;
    Random random = new Random(5);
    Counter experts = new Counter();
    Counter layer = new Counter();
    BitSet distinct = new BitSet();
    int expert = 3 * 256 * 96;
    for (int t = 0; t < numTokens; t++) {
      layer.multiply(32 * expert, 32, 256);
      for (int e : random.ints(0, 32).distinct().limit(4).toArray()) {
        distinct.set(e);
        for (Counter counter : List.of(experts, layer)) {
          counter.multiply(e * expert, 96, 256);
          counter.multiply(e * expert + 96 * 256, 96, 256);
          counter.multiply(e * expert + 2 * 96 * 256, 256, 96);
        }
      }
    }
    int numRows = 4 * numTokens;
    assertThat(model.feedForward(type, numRows, distinct.cardinality()))
        .isEqualTo(experts.work(type.sizeBytes()));
    assertThat(model.layer(type, numTokens, numRows, distinct.cardinality()))
        .isEqualTo(layer.work(type.sizeBytes()));
  }

  @ParameterizedTest
  @EnumSource(AttentionShape.class)
  void attentionIsCountedRight(AttentionShape model) {
    int numTokens = 3;
    int numPositions = 5;
    long causal = 0;
    long dense = 0;
    int perKey = 2 * model.keyWidth() + 2 * model.valueWidth(); // a score, then a sum
    for (int t = 0; t < numTokens; t++) {
      for (int j = 0; j < numPositions; j++) {
        dense += (long) model.numHeads() * perKey;
        if (j <= numPositions - numTokens + t) causal += (long) model.numHeads() * perKey;
      }
    }
    long elements = 0;
    for (int j = 0; j < numPositions; j++) {
      for (int head = 0; head < model.numKvHeads(); head++)
        elements += model.isLatent() ? 576 : model.keyWidth() + model.valueWidth();
    }
    assertThat(model.causal(DType.F32, numTokens, numPositions))
        .isEqualTo(new Work(4.0 * elements, causal));
    assertThat(model.dense(DType.F32, numTokens, numPositions))
        .isEqualTo(new Work(4.0 * elements, dense));
  }

  @Test
  void theDenseBlockDoesTheDenseWork() {
    MoeShape model = MoeShape.KJV_MOE;
    try (Backend backend = new CpuBackend(InstructionSet.best(), 1);
        WeightPool pool =
            new WeightPool(backend.memory(), DType.F32, 32 * 4 * model.expertElements());
        Workload sparse = new MoeBlockWorkload(backend, model, pool, 2);
        Workload dense = MoeBlockWorkload.dense(backend, model, pool, 2)) {
      dense.run();
      assertThat(dense.work()).isEqualTo(dense.denseWork()).isEqualTo(sparse.denseWork());
    }
  }

  @Test
  void expertsThatShareAPlaceAreReadOnce() {
    MoeShape model = MoeShape.KJV_MOE;
    try (Backend backend = new CpuBackend(InstructionSet.best(), 1);
        WeightPool pool = new WeightPool(backend.memory(), DType.F32, 4 * model.expertElements());
        Workload block = new MoeBlockWorkload(backend, model, pool, 7)) {
      block.run();
      assertThat(block.work()).isEqualTo(model.layer(DType.F32, 7, 28, 1));
    }
  }

  /** Whatever the router chooses. */
  @Test
  void sparseNeverNeedsMoreThanDense() {
    for (MoeShape model : MoeShape.values()) {
      for (DType type : TYPES) {
        for (int tokens : TOKENS) {
          int rows = tokens * model.topK();
          for (int distinct = model.topK(); distinct <= model.numExperts(); distinct++) {
            String of = model + " " + type + ", " + tokens + " tokens, " + distinct + " experts";
            assertNoMore(
                of, model.feedForward(type, rows, distinct), model.denseFeedForward(type, tokens));
            assertNoMore(
                of, model.layer(type, tokens, rows, distinct), model.denseLayer(type, tokens));
          }
        }
      }
    }
    for (AttentionShape model : AttentionShape.values()) {
      for (AttentionPhase phase : AttentionPhase.values()) {
        int tokens = phase.numTokens();
        int positions = phase.numPositions(model);
        assertNoMore(
            model + " " + phase,
            model.causal(DType.F32, tokens, positions),
            model.dense(DType.F32, tokens, positions));
      }
    }
  }

  /** As they are measured, but for a pool that is no larger than it must be. */
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16"})
  void noWorkloadNeedsMoreThanItsDenseBaseline(DType type) {
    try (Backend backend = new CpuBackend(InstructionSet.best(), 1);
        WeightPool pool = new WeightPool(backend, type, 128L << 20)) {
      for (MoeShape model : MoeShape.values()) {
        for (int tokens : new int[] {1, 16}) {
          assertNoMore(() -> new MoeFfnWorkload(backend, model, pool, tokens, new Random(1)));
          assertNoMore(() -> new MoeBlockWorkload(backend, model, pool, tokens));
        }
      }
      for (AttentionShape model : AttentionShape.values())
        assertNoMore(() -> new AttentionWorkload(backend, model, 16, 128));
    }
  }

  private static void assertNoMore(Supplier<Workload> maker) {
    try (Workload workload = maker.get()) {
      workload.run();
      assertNoMore(workload.toString(), workload.work(), workload.denseWork());
    }
  }

  private static void assertNoMore(String of, Work sparse, Work dense) {
    assertThat(sparse.bytes()).as(of).isPositive().isLessThanOrEqualTo(dense.bytes());
    assertThat(sparse.operations()).as(of).isPositive().isLessThanOrEqualTo(dense.operations());
  }

  /** Exponentials and comparisons are counted by nobody. */
  @Test
  void theRoutersWorkIsNotKnown() {
    try (Backend backend = new CpuBackend(InstructionSet.best(), 1);
        Workload router = new TopKRouterWorkload(backend, MoeShape.KJV_MOE, 1)) {
      assertThat(router.work().isKnown()).isFalse();
      assertThat(router.denseWork().isKnown()).isFalse();
    }
    assertThat(new Work(0, 0).isKnown()).isTrue();
  }
}
