package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
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

  /** Bit by bit, with rows that are moved element by element and as vectors. */
  @ParameterizedTest
  @ValueSource(ints = {1, 7, 256, 2880})
  void onASumIsAddThenTheNorm(int hiddenSize) {
    Random random = new Random(43);
    int numRows = 5;
    float[] x = gaussian(random, numRows * hiddenSize);
    float[] y = gaussian(random, numRows * hiddenSize);
    float[] w = gaussian(random, hiddenSize);
    try (Tensor sum = backend.of(x, numRows, hiddenSize);
        Tensor accumulator = backend.of(x, numRows, hiddenSize);
        Tensor addend = backend.of(y, numRows, hiddenSize);
        Tensor weight = backend.of(w, hiddenSize);
        Tensor expected = backend.f32(numRows, hiddenSize);
        Tensor output = backend.f32(numRows, hiddenSize)) {
      Add.run(backend, sum, addend);
      RmsNorm.run(backend, sum, weight, expected, 1e-6f);
      output.fill(Float.NaN);
      RmsNorm.runOnSum(backend, accumulator, addend, weight, output, 1e-6f);
      assertThat(accumulator.toFloatArray()).isEqualTo(sum.toFloatArray());
      assertThat(output.toFloatArray()).isEqualTo(expected.toFloatArray());
      assertThat(addend.toFloatArray()).isEqualTo(y);
    }
  }

  /** Bit by bit; rows of the same and of other sizes, and none. */
  @ParameterizedTest
  @CsvSource({"32, 128, 4, 128", "1, 2048, 1, 512", "3, 7, 2, 9", "0, 128, 4, 128", "4, 64, 0, 64"})
  void normalisesTwoTensorsAsOneAfterTheOther(int rows, int size, int otherRows, int otherSize) {
    Random random = new Random(44);
    try (Tensor first = backend.of(gaussian(random, rows * size), rows, size);
        Tensor firstWeight = backend.of(gaussian(random, size), size);
        Tensor second = backend.of(gaussian(random, otherRows * otherSize), otherRows, otherSize);
        Tensor secondWeight = backend.of(gaussian(random, otherSize), otherSize);
        Tensor expected = backend.f32(rows, size);
        Tensor otherExpected = backend.f32(otherRows, otherSize)) {
      RmsNorm.run(backend, first, firstWeight, expected, 1e-6f);
      RmsNorm.run(backend, second, secondWeight, otherExpected, 1e-6f);
      RmsNorm.runBoth(backend, first, firstWeight, second, secondWeight, 1e-6f);
      assertThat(first.toFloatArray()).isEqualTo(expected.toFloatArray());
      assertThat(second.toFloatArray()).isEqualTo(otherExpected.toFloatArray());
    }
  }

  private static float[] gaussian(Random random, int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = (float) random.nextGaussian();
    return values;
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (Tensor input = backend.f32(2, 4);
        Tensor weight = backend.f32(5);
        Tensor output = backend.f32(2, 4)) {
      assertThatThrownBy(() -> RmsNorm.run(backend, input, weight, output, 1e-6f))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("weight must be [4], found [5]");
      assertThatThrownBy(() -> RmsNorm.runOnSum(backend, weight, input, weight, output, 0))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("accumulator must not overlap weight");
      assertThatThrownBy(() -> RmsNorm.runOnSum(backend, input, input, weight, output, 0))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("accumulator must not overlap addend");
      assertThatThrownBy(() -> RmsNorm.runOnSum(backend, input, output, weight, output, 0))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("output must not overlap addend");
      assertThatThrownBy(() -> RmsNorm.runBoth(backend, input, weight, output, weight, 0))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("firstWeight must be [4], found [5]");
      try (Tensor four = backend.f32(4)) {
        assertThatThrownBy(() -> RmsNorm.runOnSum(backend, input, weight, four, output, 0))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("addend must be [2, 4], found [5]");
        assertThatThrownBy(() -> RmsNorm.runBoth(backend, input, four, input, four, 0))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("second must not overlap first");
      }
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
