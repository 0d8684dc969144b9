package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;

@ContractTest
public class ThresholdedLinearTest {
  private final Backend backend = BackendsUnderTest.shared();

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, F32",
    "1, 64, 300, F32",
    "3, 33, 31, BF16",
    "17, 100, 64, BF16",
    "5, 50, 257, F16",
    "2, 300, 40, F32"
  })
  void agreesWithDoublePrecision(int numTokens, int inputSize, int outputSize, DType type) {
    Random random = new Random(1);
    float[] x = normal(random, numTokens * inputSize);
    x[0] = 0.5f; // equals the threshold: left out
    try (Tensor input = backend.of(x, numTokens, inputSize);
        Tensor weight = weight(random, type, inputSize, outputSize);
        Tensor bias = backend.of(normal(random, outputSize), outputSize);
        Tensor output = backend.f32(numTokens, outputSize)) {
      float[] w = weight.toFloatArray();
      float[] b = bias.toFloatArray();
      for (Variant variant : BackendsUnderTest.variants()) {
        for (float threshold : new float[] {0, 0.5f, 100}) {
          output.fill(Float.NaN);
          ThresholdedLinear.run(variant.backend(), input, weight, bias, threshold, output);
          float[] found = output.toFloatArray();
          for (int t = 0; t < numTokens; t++) {
            for (int j = 0; j < outputSize; j++) {
              double exact = b[j];
              double magnitude = Math.abs(b[j]);
              for (int i = inputSize - 1; i >= 0; i--) {
                double value = x[t * inputSize + i];
                if (Math.abs(value) <= threshold) continue;
                exact += value * w[i * outputSize + j];
                magnitude += Math.abs(value * w[i * outputSize + j]);
              }
              assertThat(Math.abs(found[t * outputSize + j] - exact))
                  .as("threshold %f, token %d, output %d", threshold, t, j)
                  .isLessThanOrEqualTo((inputSize + 2) * 0x1p-24 * magnitude);
            }
          }
        }
      }
    }
  }

  /** What is not to be read is NaN: it would show. */
  @Test
  void rowsOfSmallInputsAreNotRead() {
    float[] x = {1, 0, -2, 0.5f, 0, 0, 3, -0.5f};
    try (Tensor input = backend.of(x, 2, 4);
        Tensor weight = weight(new Random(2), DType.BF16, 4, 72);
        Tensor output = backend.f32(2, 72)) {
      ThresholdedLinear.run(backend, input, weight, null, 0.5f, output);
      float[] expected = output.toFloatArray();
      weight.slice(1, 2).fill(Float.NaN);
      weight.slice(3, 4).fill(Float.NaN);
      ThresholdedLinear.run(backend, input, weight, null, 0.5f, output);
      assertThat(output.toFloatArray()).isEqualTo(expected);
    }
  }

  @Test
  void aTokensBitsDependNeitherOnTheBatchNorOnThreads() {
    int numTokens = 20;
    Random random = new Random(3);
    try (Tensor input = backend.of(normal(random, numTokens * 120), numTokens, 120);
        Tensor weight = weight(random, DType.F32, 120, 200);
        Tensor output = backend.f32(numTokens, 200);
        Tensor alone = backend.f32(1, 200)) {
      for (Variant variant : BackendsUnderTest.variants()) {
        ThresholdedLinear.run(variant.backend(), input, weight, null, 0.7f, output);
        float[] together = output.toFloatArray();
        for (int t = 0; t < numTokens; t++) {
          ThresholdedLinear.run(
              variant.backend(), input.slice(t, t + 1L), weight, null, 0.7f, alone);
          assertThat(alone.toFloatArray())
              .isEqualTo(Arrays.copyOfRange(together, t * 200, (t + 1) * 200));
        }
        for (var opener : variant.sameBits()) {
          try (Backend other = opener.get()) {
            output.fill(Float.NaN);
            ThresholdedLinear.run(other, input, weight, null, 0.7f, output);
            assertThat(output.toFloatArray()).isEqualTo(together);
          }
        }
      }
    }
  }

  @Test
  void aNanCounts() {
    try (Tensor input = backend.of(new float[] {Float.NaN, 1}, 1, 2);
        Tensor weight = weight(new Random(4), DType.F32, 2, 3);
        Tensor output = backend.f32(1, 3)) {
      ThresholdedLinear.run(backend, input, weight, null, 5, output);
      assertThat(output.toFloatArray()).containsOnly(Float.NaN);
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (Tensor input = backend.f32(1, 4);
        Tensor weight = backend.f32(5, 3);
        Tensor output = backend.f32(1, 3)) {
      assertThatThrownBy(() -> ThresholdedLinear.run(backend, input, weight, null, 0, output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("input must be ");
      assertThatThrownBy(() -> ThresholdedLinear.run(backend, input, weight, null, -1, output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("threshold must not be negative, found -1.0");
    }
  }

  private Tensor weight(Random random, DType type, int inputSize, int outputSize) {
    Tensor weight = backend.allocate(type, inputSize, outputSize);
    try (Tensor host = Tensor.allocate(type, inputSize, outputSize)) {
      float[] values = normal(random, inputSize * outputSize);
      for (int i = 0; i < values.length; i++) host.setFloat(i, values[i]);
      weight.copyFrom(host);
    }
    return weight;
  }

  private static float[] normal(Random random, int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = (float) random.nextGaussian();
    return values;
  }
}
