package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.Tensor;

@ContractTest
public class ClampTest {
  private final Backend backend = BackendsUnderTest.shared();

  @Test
  void keepsWhatLiesInsideAndPassesNaN() {
    float[] values = {
      -9, -8, -7.5f, 0, 7.5f, 8, 9, Float.NaN, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY
    };
    try (Tensor tensor = backend.of(values, 2, 5)) {
      Clamp.run(backend, tensor, 8);
      assertThat(tensor.toFloatArray())
          .isEqualTo(new float[] {-8, -8, -7.5f, 0, 7.5f, 8, 8, Float.NaN, -8, 8});
      assertThatThrownBy(() -> Clamp.run(backend, tensor, Float.NaN))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("limit must not be negative, found NaN");
    }
  }
}
