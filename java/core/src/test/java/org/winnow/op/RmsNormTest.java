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
public class RmsNormTest {
  private final Backend backend = BackendsUnderTest.shared();

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 8, 9, 256, 2880})
  void agreesWithDoublePrecision(int hiddenSize) {
    Random random = new Random(42);
    int numRows = 5;
    float[] x = new float[numRows * hiddenSize];
    float[] w = new float[hiddenSize];
    for (int i = 0; i < x.length; i++) x[i] = (float) random.nextGaussian();
    for (int i = 0; i < w.length; i++) w[i] = (float) random.nextGaussian();
    try (Tensor input = backend.of(x, numRows, hiddenSize);
        Tensor weight = backend.of(w, hiddenSize);
        Tensor output = backend.f32(numRows, hiddenSize)) {
      output.fill(Float.NaN);
      RmsNorm.run(backend, input, weight, output, 1e-6f);
      float[] found = output.toFloatArray();
      for (int r = 0; r < numRows; r++) {
        double squares = 0;
        for (int i = hiddenSize - 1; i >= 0; i--)
          squares += (double) x[r * hiddenSize + i] * x[r * hiddenSize + i];
        double scale = 1 / Math.sqrt(squares / hiddenSize + 1e-6f);
        for (int i = 0; i < hiddenSize; i++) {
          double exact = w[i] * x[r * hiddenSize + i] * scale;
          // three f32 roundings: the scale, and two products
          assertThat(Math.abs(found[r * hiddenSize + i] - exact))
              .isLessThanOrEqualTo(3.01 * 0x1p-24 * Math.abs(exact) + Float.MIN_VALUE);
        }
      }
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (Tensor input = backend.f32(2, 4);
        Tensor weight = backend.f32(5);
        Tensor output = backend.f32(2, 4)) {
      assertThatThrownBy(() -> RmsNorm.run(backend, input, weight, output, 1e-6f))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("weight must be [4], found [5]");
    }
  }

  @Test
  void refusesClosedTensorsAndClosedBackends() {
    Tensor closed = backend.f32(2, 4);
    closed.close();
    closed.close();
    try (Tensor open = backend.f32(2, 4);
        Tensor weight = backend.f32(4)) {
      assertThatThrownBy(() -> RmsNorm.run(backend, closed, weight, open, 0))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("input is closed");
    }
    Backend own = BackendsUnderTest.standard().opener().get();
    try (Tensor open = own.f32(2, 4);
        Tensor weight = own.f32(4)) {
      own.close();
      own.close();
      assertThatThrownBy(() -> RmsNorm.run(own, open, weight, open, 0))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageMatching("backend " + own.name() + "(:0)? is closed"); // its device, if any
    }
  }
}
