package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.Tensor;

@ContractTest
public class LayerNormTest {
  private final Backend backend = BackendsUnderTest.shared();

  private static final float EPSILON = 1e-5f;

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 8, 9, 128, 2880})
  void agreesWithDoublePrecisionFarFromZero(int hiddenSize) {
    Random random = new Random(42);
    int numRows = 5;
    float[] x = AttentionProblem.gaussian(random, numRows * hiddenSize);
    for (int i = 0; i < x.length; i++)
      x[i] += 1000; // a variance of squares minus the squared mean would lose half its digits
    float[] w = AttentionProblem.gaussian(random, hiddenSize);
    float[] b = AttentionProblem.gaussian(random, hiddenSize);
    try (Tensor input = backend.of(x, numRows, hiddenSize);
        Tensor weight = backend.of(w, hiddenSize);
        Tensor bias = backend.of(b, hiddenSize);
        Tensor output = backend.f32(numRows, hiddenSize)) {
      for (Tensor shift : new Tensor[] {bias, null}) {
        output.fill(Float.NaN);
        LayerNorm.run(backend, input, weight, shift, output, EPSILON);
        float[] found = output.toFloatArray();
        for (int r = 0; r < numRows; r++) {
          double sum = 0;
          for (int i = hiddenSize - 1; i >= 0; i--) sum += x[r * hiddenSize + i];
          double mean = sum / hiddenSize;
          double squares = 0;
          for (int i = hiddenSize - 1; i >= 0; i--)
            squares += Math.pow(x[r * hiddenSize + i] - mean, 2);
          for (int i = 0; i < hiddenSize; i++) {
            double exact =
                w[i] * (x[r * hiddenSize + i] - mean) / Math.sqrt(squares / hiddenSize + EPSILON)
                    + (shift == null ? 0 : b[i]);
            // f64 inside, one rounding; the mean of hiddenSize values near 1000 is known to
            // hiddenSize * 2^-53 * 1000
            double bound =
                0x1p-24 * Math.abs(exact)
                    + hiddenSize
                        * 0x1p-52
                        * 1000
                        * Math.abs(w[i])
                        / Math.sqrt(squares / hiddenSize + EPSILON);
            assertThat(Math.abs(found[r * hiddenSize + i] - exact)).isLessThanOrEqualTo(bound);
          }
        }
      }
      float[] apart = output.toFloatArray();
      LayerNorm.run(backend, input, weight, null, input, EPSILON);
      assertThat(input.toFloatArray()).isEqualTo(apart);
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (Tensor input = backend.f32(2, 4);
        Tensor weight = backend.f32(4);
        Tensor bias = backend.f32(3)) {
      assertThatThrownBy(() -> LayerNorm.run(backend, input, weight, bias, input, EPSILON))
          .hasMessage("bias must be [4], found [3]");
      assertThatThrownBy(() -> LayerNorm.run(backend, input, bias, null, input, EPSILON))
          .hasMessage("weight must be [4], found [3]");
      assertThatThrownBy(() -> LayerNorm.run(backend, input, weight, null, input, Float.NaN))
          .hasMessage("epsilon must not be negative, found NaN");
    }
  }
}
