package org.winnow.layer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;

class ClampTest {
  @Test
  void keepsWhatLiesInsideAndPassesNaN() {
    float[] values = {
      -9, -8, -7.5f, 0, 7.5f, 8, 9, Float.NaN, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY
    };
    try (var backend = new CpuBackend();
        Tensor tensor = Tensor.of(values, 2, 5)) {
      Clamp.run(backend, tensor, 8);
      assertThat(tensor.toFloatArray())
          .isEqualTo(new float[] {-8, -8, -7.5f, 0, 7.5f, 8, 8, Float.NaN, -8, 8});
      assertThatThrownBy(() -> Clamp.run(backend, tensor, Float.NaN))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("limit must not be negative, found NaN");
    }
  }
}
