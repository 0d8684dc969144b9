package org.winnow.layer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.Tensor;
import org.winnow.attention.AttentionProblem;
import org.winnow.cpu.CpuBackend;

class AddTest {
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 7, 64, 20_001}) // the last is cut between threads
  void everyElementIsRoundedOnce(int width) {
    float[] a = AttentionProblem.gaussian(new java.util.Random(1), 2 * width);
    float[] b = AttentionProblem.gaussian(new java.util.Random(2), 2 * width);
    try (var backend = new CpuBackend();
        Tensor accumulator = Tensor.of(a, 2, width);
        Tensor addend = Tensor.of(b, 2, width)) {
      Add.run(backend, accumulator, addend);
      float[] found = accumulator.toFloatArray();
      for (int i = 0; i < a.length; i++) assertThat(found[i]).isEqualTo(a[i] + b[i]);
      assertThat(addend.toFloatArray()).isEqualTo(b);
      Add.run(backend, accumulator, accumulator);
      float[] doubled = accumulator.toFloatArray();
      for (int i = 0; i < a.length; i++) assertThat(doubled[i]).isEqualTo(2 * found[i]);
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (var backend = new CpuBackend();
        Tensor accumulator = Tensor.f32(2, 4);
        Tensor addend = Tensor.f32(2, 5)) {
      assertThatThrownBy(() -> Add.run(backend, accumulator, addend))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("addend must be [2, 4], found [2, 5]");
      addend.close();
      assertThatThrownBy(() -> Add.run(backend, accumulator, addend))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("addend is closed");
    }
  }
}
