package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.Tensor;

@ContractTest
public class StridedCopyTest {
  private final Backend backend = BackendsUnderTest.shared();

  @Test
  void movesTheBlockAndNothingElse() {
    int outer = BackendsUnderTest.sized(5, 40);
    int inner = 3;
    int width = 200; // large enough for several threads
    float[] values = AttentionProblem.gaussian(new java.util.Random(1), outer * inner * 210 + 5);
    try (Tensor source = backend.of(values, values.length);
        Tensor target = backend.f32(inner * outer * 201L + 7)) {
      target.fill(-99);
      StridedCopy.run(
          backend, source, 5, inner * 210, 210, target, 7, 201, outer * 201, outer, inner, width);
      float[] expected = new float[(int) target.size()];
      java.util.Arrays.fill(expected, -99);
      for (int i = 0; i < outer; i++) {
        for (int j = 0; j < inner; j++) {
          for (int c = 0; c < width; c++)
            expected[7 + (j * outer + i) * 201 + c] = values[5 + (i * inner + j) * 210 + c];
        }
      }
      assertThat(target.toFloatArray()).isEqualTo(expected);
    }
  }

  @Test
  void refusesBlocksThatLeaveATensor() {
    try (Tensor ten = backend.f32(10);
        Tensor six = backend.f32(6)) {
      StridedCopy.run(backend, ten, 0, 5, 0, six, 0, 3, 0, 2, 1, 3);
      assertThatThrownBy(() -> StridedCopy.run(backend, ten, 1, 5, 0, six, 1, 3, 0, 2, 1, 3))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("block must end inside destination of 6 elements, found 7");
      assertThatThrownBy(() -> StridedCopy.run(backend, ten, 3, 5, 0, six, 0, 3, 0, 2, 1, 3))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("block must end inside source of 10 elements, found 11");
      assertThatThrownBy(() -> StridedCopy.run(backend, ten, 0, -1, 0, six, 0, 3, 0, 2, 1, 3))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("source must have no negative offset or stride, found 0, -1, 0");
      assertThatThrownBy(() -> StridedCopy.run(backend, ten, 0, 1, 0, ten, 0, 1, 0, 1, 1, 1))
          .hasMessage("destination must not overlap source");
      StridedCopy.run(backend, ten, 99, 5, 0, six, 99, 3, 0, 0, 1, 3); // nothing to copy
    }
  }
}
