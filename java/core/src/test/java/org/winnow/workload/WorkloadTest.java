package org.winnow.workload;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;

/** Every workload runs on every backend, and its check tells right from wrong. */
@ContractTest
class WorkloadTest {
  private static final MoeShape MODEL = MoeShape.KJV_MOE;
  private static final int NUM_PLACES = 40; // a layer, and a part of a second

  private static WeightPool pool(Backend backend, DType type) {
    return new WeightPool(backend, type, NUM_PLACES * MODEL.expertElements() * type.sizeBytes());
  }

  /** All workloads of that many tokens that have the pool's type, or with f32 no type. */
  private static List<Supplier<Workload>> workloads(
      Backend backend, WeightPool pool, int numTokens) {
    int positions = numTokens + 70; // more than a page of the cache
    List<Supplier<Workload>> makers = new ArrayList<>();
    makers.add(() -> new MoeFfnWorkload(backend, MODEL, pool, numTokens, new Random(3)));
    makers.add(() -> new MoeBlockWorkload(backend, MODEL, pool, numTokens));
    DType element = pool.type();
    if (element == DType.F32) makers.add(() -> new TopKRouterWorkload(backend, MODEL, numTokens));
    for (AttentionShape model :
        new AttentionShape[] {AttentionShape.KJV_MOE, AttentionShape.DEEPSEEK_V2_LITE})
      makers.add(() -> new AttentionWorkload(backend, model, element, numTokens, positions));
    return makers;
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"BF16", "F16"})
  void attentionOverSixteenBitsIsExactEnough(DType element) {
    for (AttentionShape model :
        new AttentionShape[] {AttentionShape.KJV_MOE, AttentionShape.DEEPSEEK_V2_LITE}) {
      try (Backend backend = new CpuBackend();
          var attention = new AttentionWorkload(backend, model, element, 3, 70)) {
        attention.run();
        attention.check();
      }
    }
  }

  @ParameterizedTest
  @MethodSource(BackendsUnderTest.VARIANTS)
  void everyRunIsRight(BackendsUnderTest.Variant variant) {
    Backend backend = variant.backend();
    for (DType type : new DType[] {DType.F32, DType.BF16, DType.F16}) {
      try (WeightPool pool = pool(backend, type)) {
        for (int numTokens : new int[] {1, 3}) {
          for (Supplier<Workload> maker : workloads(backend, pool, numTokens)) {
            try (Workload workload = maker.get()) {
              for (int run = 0; run < 2; run++) {
                workload.run();
                workload.check();
              }
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void theDenseBlockIsRight(int numTokens) {
    Backend backend = BackendsUnderTest.shared();
    try (WeightPool pool = pool(backend, DType.BF16);
        Workload dense = MoeBlockWorkload.dense(backend, MODEL, pool, numTokens)) {
      dense.run();
      dense.check();
    }
  }

  /** A hundredth off in f32, a tenth off in bf16, or no number at all. */
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void aWrongElementIsRefused(DType type) {
    Backend backend = BackendsUnderTest.shared();
    try (WeightPool pool = pool(backend, type)) {
      for (Supplier<Workload> maker : workloads(backend, pool, 2)) {
        try (Workload workload = maker.get()) {
          workload.run();
          if (workload.output().dtype() == DType.I32) {
            assertThatWrongIdsAreRefused(workload);
            continue;
          }
          float[] right = workload.output().toFloatArray();
          float[] off = right.clone();
          for (int i = 0; i < off.length; i++) off[i] *= type == DType.BF16 ? 1.1f : 1.01f;
          assertRefused(workload, off);
          float[] none = new float[right.length];
          Arrays.fill(none, Float.NaN);
          assertRefused(workload, none);
          workload.output().copyFrom(right);
          workload.check();
        }
      }
    }
  }

  private static void assertThatWrongIdsAreRefused(Workload router) {
    Tensor ids = router.output();
    int[] right = ids.toIntArray();
    int[] swapped = right.clone();
    swapped[1] = right[2];
    swapped[2] = right[1];
    ids.copyFrom(swapped);
    assertThatThrownBy(router::check)
        .isInstanceOf(WrongResultException.class)
        .hasMessage(router + ": choice 1 of token 0: expected " + right[1] + ", found " + right[2]);
    ids.copyFrom(right);
    router.check();
  }

  private static void assertRefused(Workload workload, float[] wrong) {
    workload.output().copyFrom(wrong);
    assertThatThrownBy(workload::check)
        .as(workload.toString())
        .isInstanceOf(WrongResultException.class)
        .hasMessageStartingWith(workload + ": ")
        .hasMessageContaining("expected")
        .hasMessageContaining("found");
  }

  /** The weights of another layer, or another batch, give another result. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theResultOfAnotherRunIsRefused(boolean wholeBlock) {
    Backend backend = BackendsUnderTest.shared();
    try (WeightPool pool = pool(backend, DType.F32);
        Workload workload =
            wholeBlock
                ? new MoeBlockWorkload(backend, MODEL, pool, 1)
                : new MoeFfnWorkload(backend, MODEL, pool, 1, new Random(3))) {
      workload.run();
      float[] first = workload.output().toFloatArray();
      workload.run();
      workload.check();
      assertRefused(workload, first);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4})
  void runsOfTheFeedForwardBlockReadOtherWeightsUntilAllWereRead(int numTokens) {
    Backend backend = BackendsUnderTest.shared();
    try (WeightPool pool = pool(backend, DType.F32);
        Workload workload = new MoeFfnWorkload(backend, MODEL, pool, numTokens, new Random(3))) {
      workload.run();
      float[] first = workload.output().toFloatArray();
      double expertBytes = MODEL.expertElements() * 4.0;
      long numActive = Math.round(workload.work().bytes() / expertBytes);
      long period = (NUM_PLACES + numActive - 1) / numActive;
      for (long run = 1; run < period; run++) {
        workload.run();
        assertThat(workload.output().toFloatArray()).as("run " + run).isNotEqualTo(first);
      }
      workload.run();
      assertThat(workload.output().toFloatArray()).isEqualTo(first);
    }
  }
}
