package org.winnow.workload;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.cpu.CpuBackend;
import org.winnow.moe.ResidentExperts;
import org.winnow.op.Activation;
import org.winnow.op.GroupedGemm;

/** The weights that workloads read. */
class WeightPoolTest {
  private static final MoeShape MODEL = MoeShape.KJV_MOE;

  private static WeightPool pool(DType type, int numPlaces) {
    return new WeightPool(
        TensorMemory.host(), type, numPlaces * MODEL.expertElements() * type.sizeBytes());
  }

  /** Over more elements than the random numbers that they are made of. */
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void noTwoRowsAreEqualAndValuesAreNormal(DType type) {
    Set<Long> rows = new HashSet<>();
    double squares = 0;
    try (WeightPool pool = pool(type, 40)) {
      assertThat(pool.type()).isEqualTo(type);
      assertThat(pool.hiddenType()).isEqualTo(type == DType.BF16 ? DType.BF16 : DType.F32);
      for (int place = 0; place < 40; place++) {
        Tensor gate = pool.expert(MODEL, place).gate();
        float[] values = gate.toFloatArray();
        for (int row = 0; row < 96; row++) {
          long hash = 7;
          for (int i = 0; i < 256; i++) {
            float value = values[row * 256 + i];
            hash = 1_000_003 * hash + Float.floatToIntBits(value);
            squares += value * value;
          }
          assertThat(rows.add(hash)).as("row " + row + " at place " + place).isTrue();
        }
      }
    }
    assertThat(Math.sqrt(squares / rows.size() / 256)).isBetween(0.0297, 0.0303);
  }

  /** A row of a matrix in panels is what the backend multiplies. */
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void rowsAreReadAsTheBackendMultipliesThem(DType type) {
    try (Backend backend = new CpuBackend();
        WeightPool pool = new WeightPool(backend, type, MODEL.expertElements() * type.sizeBytes());
        ResidentExperts experts = pool.experts(MODEL, new int[] {0});
        Tensor column = backend.f32(1, 256)) {
      Tensor down = pool.expert(MODEL, 0).down();
      float[] all = pool.rows(down);
      for (int k : new int[] {0, 1, 2, 95}) {
        try (Tensor input = backend.f32(1, 96)) {
          input.setFloat(k, 1);
          GroupedGemm.run(
              backend,
              input,
              null,
              backend.of(new int[] {0, 1}, 2),
              backend.of(new int[] {0}, 1),
              1,
              experts.down(),
              Activation.NONE,
              column);
          for (int row = 0; row < 256; row++) {
            assertThat(column.getFloat(row)).isEqualTo(all[row * 96 + k]);
            assertThat(pool.row(down, row)[k]).isEqualTo(all[row * 96 + k]);
          }
        }
      }
    }
  }

  @Test
  void expertsAreViewsAtTheirPlaces() {
    try (WeightPool pool = pool(DType.BF16, 3);
        ResidentExperts experts = pool.experts(MODEL, new int[] {2, 0, 2})) {
      assertThat(pool.numPlaces(MODEL)).isEqualTo(3);
      WeightPool.Expert last = pool.expert(MODEL, 2);
      assertThat(last.gate().shape()).containsExactly(96, 256);
      assertThat(last.up().shape()).containsExactly(96, 256);
      assertThat(last.down().shape()).containsExactly(256, 96);
      last.gate().fill(1);
      last.up().fill(2);
      last.down().fill(3);
      assertThat(pool.expert(MODEL, 2).gate().getFloat(24_575)).isEqualTo(1);
      assertThat(pool.expert(MODEL, 2).up().getFloat(0)).isEqualTo(2);
      assertThat(pool.expert(MODEL, 2).down().getFloat(0)).isEqualTo(3);
      assertThat(pool.expert(MODEL, 1).down().getFloat(24_575)).isNotEqualTo(3);
      assertThat(experts.numExperts()).isEqualTo(3);
      assertThat(experts.hiddenSize()).isEqualTo(256);
      assertThat(experts.intermediateSize()).isEqualTo(96);
    }
  }

  @Test
  void valuesAreTheSameEachTime() {
    try (WeightPool first = pool(DType.F32, 1);
        WeightPool second = pool(DType.F32, 1);
        Tensor router = first.router(MODEL);
        Tensor sameRouter = second.router(MODEL)) {
      assertThat(first.expert(MODEL, 0).down().toFloatArray())
          .isEqualTo(second.expert(MODEL, 0).down().toFloatArray());
      assertThat(router.toFloatArray()).isEqualTo(sameRouter.toFloatArray());
      assertThat(router.shape()).containsExactly(32, 256);
    }
  }

  @Test
  void whatDoesNotFitIsRefused() {
    try (WeightPool pool = pool(DType.BF16, 1)) {
      assertThatThrownBy(() -> pool.numPlaces(MoeShape.OLMOE))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("the pool must hold an expert of OLMoE, 6291456 elements, found bf16[73728]");
      assertThatThrownBy(() -> pool.expert(MODEL, 1)).isInstanceOf(IllegalArgumentException.class);
    }
    assertThatThrownBy(() -> new WeightPool(TensorMemory.host(), DType.I32, 8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("type must be f32, bf16 or f16, found i32");
  }
}
