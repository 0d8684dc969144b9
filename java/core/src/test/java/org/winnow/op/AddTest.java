package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.Tensor;

@ContractTest
public class AddTest {
  private final Backend backend = BackendsUnderTest.shared();

  static IntStream widths() {
    return IntStream.of(0, 1, 7, 64, 20_001); // the last is cut between threads
  }

  @ParameterizedTest
  @MethodSource("widths")
  void everyElementIsRoundedOnce(int width) {
    float[] a = AttentionProblem.gaussian(new Random(1), 2 * width);
    float[] b = AttentionProblem.gaussian(new Random(2), 2 * width);
    try (Tensor accumulator = backend.of(a, 2, width);
        Tensor addend = backend.of(b, 2, width)) {
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
    try (Tensor accumulator = backend.f32(2, 4);
        Tensor addend = backend.f32(2, 5)) {
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
