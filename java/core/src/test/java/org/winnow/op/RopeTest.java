package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.Tensor;
import org.winnow.attention.RopeFrequencies;

@ContractTest
public class RopeTest {
  private final Backend backend = BackendsUnderTest.shared();

  /**
   * Compares with complex numbers in double precision: a pair is x + iy, multiplied by e^(i angle).
   */
  @ParameterizedTest
  @CsvSource({
    "HALF_SPLIT, 64, 64, 0",
    "HALF_SPLIT, 48, 16, 32",
    "INTERLEAVED, 192, 64, 128",
    "INTERLEAVED, 7, 2, 3",
    "HALF_SPLIT, 6, 6, 0"
  })
  void turnsPairsByTheAngleOfTheirPosition(
      Rope.Layout layout, int headDim, int rotary, int offset) {
    int numTokens = BackendsUnderTest.sized(5, 37);
    int numHeads = 3;
    int first = 1000;
    int pairs = rotary / 2;
    float[] x = AttentionProblem.gaussian(new Random(1), numTokens * numHeads * headDim);
    try (Tensor values = backend.of(x, numTokens, numHeads, headDim);
        Tensor cos = backend.f32(numTokens, pairs);
        Tensor sin = backend.f32(numTokens, pairs)) {
      RopeFrequencies.standard(rotary, 10_000).angles(first, cos, sin);
      Rope.run(backend, values, cos, sin, offset, layout);
      float[] found = values.toFloatArray();
      for (int t = 0; t < numTokens; t++) {
        for (int h = 0; h < numHeads; h++) {
          int row = (t * numHeads + h) * headDim;
          for (int c = 0; c < headDim; c++) {
            if (c < offset || c >= offset + rotary)
              assertThat(found[row + c]).isEqualTo(x[row + c]);
          }
          for (int i = 0; i < pairs; i++) {
            int a = row + offset + (layout == Rope.Layout.HALF_SPLIT ? i : 2 * i);
            int b = layout == Rope.Layout.HALF_SPLIT ? a + pairs : a + 1;
            double length = Math.hypot(x[a], x[b]);
            double angle =
                Math.atan2(x[b], x[a]) + (first + t) * Math.pow(10_000, -2.0 * i / rotary);
            // cosine, product and sum are rounded, each to u times at most the length of the pair
            double bound = 6 * 0x1p-24 * length;
            assertThat(Math.abs(found[a] - length * Math.cos(angle))).isLessThanOrEqualTo(bound);
            assertThat(Math.abs(found[b] - length * Math.sin(angle))).isLessThanOrEqualTo(bound);
          }
        }
      }
    }
  }

  /** Bit by bit; of none, one and several tokens. */
  @ParameterizedTest
  @CsvSource({"0, 64", "1, 64", "3, 64", "1, 6"})
  void rotatesTwoTensorsAsOneAfterTheOther(int numTokens, int headDim) {
    float[] q = AttentionProblem.gaussian(new Random(2), numTokens * 8 * headDim);
    float[] k = AttentionProblem.gaussian(new Random(3), numTokens * 2 * (headDim + 1));
    try (Tensor queries = backend.of(q, numTokens, 8, headDim);
        Tensor keys = backend.of(k, numTokens, 2, headDim + 1);
        Tensor expectedQueries = backend.of(q, numTokens, 8, headDim);
        Tensor expectedKeys = backend.of(k, numTokens, 2, headDim + 1);
        Tensor cos = backend.f32(numTokens, 3);
        Tensor sin = backend.f32(numTokens, 3)) {
      RopeFrequencies.standard(6, 10_000).angles(77, cos, sin);
      for (Rope.Layout layout : Rope.Layout.values()) {
        Rope.run(backend, expectedQueries, cos, sin, 0, layout);
        Rope.run(backend, expectedKeys, cos, sin, 0, layout);
        Rope.run(backend, queries, keys, cos, sin, 0, layout);
        assertThat(queries.toFloatArray()).isEqualTo(expectedQueries.toFloatArray());
        assertThat(keys.toFloatArray()).isEqualTo(expectedKeys.toFloatArray());
      }
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (Tensor values = backend.f32(2, 3, 8);
        Tensor cos = backend.f32(2, 3);
        Tensor sin = backend.f32(2, 4);
        Tensor one = backend.f32(1, 3)) {
      assertThatThrownBy(() -> Rope.run(backend, values, cos, sin, 0, Rope.Layout.HALF_SPLIT))
          .hasMessage("sin must be [2, 3], found [2, 4]");
      assertThatThrownBy(() -> Rope.run(backend, values, one, one, 0, Rope.Layout.HALF_SPLIT))
          .hasMessage("cos must be [2, any], found [1, 3]");
      assertThatThrownBy(() -> Rope.run(backend, values, cos, cos, 3, Rope.Layout.HALF_SPLIT))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("rotary part must lie in [0, 8), found [3, 9)");
      assertThatThrownBy(() -> Rope.run(backend, values, sin, cos, cos, 0, Rope.Layout.HALF_SPLIT))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("keys must be [any, any, any], found [2, 4]");
      assertThatThrownBy(
              () -> Rope.run(backend, values, values, cos, cos, 0, Rope.Layout.HALF_SPLIT))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("keys must not overlap queries");
    }
  }
}
