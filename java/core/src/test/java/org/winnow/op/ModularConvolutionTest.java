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
public class ModularConvolutionTest {
  private final Backend backend = BackendsUnderTest.shared();

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, 1, 1, 1, F32, F32",
    "7, 6, 8, 3, 3, 8, F32, F32",
    "9, 7, 5, 4, 5, 9, F32, BF16",
    "2, 5, 6, 3, 3, 6, BF16, F16",
    "5, 4, 64, 3, 3, 64, BF16, BF16",
    "4, 3, 70, 3, 1, 33, F32, F32"
  })
  void agreesWithDoublePrecision(
      int length, int modules, int size, int f, int g, int out, DType inputType, DType type) {
    Random random = new Random(1);
    for (Variant variant : BackendsUnderTest.variants()) {
      for (boolean integers : new boolean[] {true, false}) {
        for (boolean withState : new boolean[] {false, true}) {
          try (Tensor input = tensor(random, integers, inputType, length, modules, size);
              Tensor state = tensor(random, integers, inputType, f - 1, modules, size);
              Tensor kernel = tensor(random, integers, type, f, g, size, out);
              Tensor bias = tensor(random, integers, DType.F32, out);
              Tensor output = backend.f32(length, modules, out);
              Tensor next = backend.allocate(inputType, f - 1, modules, size)) {
            output.fill(Float.NaN);
            next.fill(Float.NaN);
            ModularConvolution.run(
                variant.backend(), input, withState ? state : null, kernel, bias, output, next);
            float[] before = withState ? state.toFloatArray() : new float[(int) state.size()];
            float[] x = joined(before, input.toFloatArray());
            float[] k = kernel.toFloatArray();
            float[] b = bias.toFloatArray();
            float[] found = output.toFloatArray();
            for (int i = 0; i < found.length; i++) {
              int t = i / out / modules;
              int s = i / out % modules;
              int o = i % out;
              double exact = b[o];
              double magnitude = Math.abs(b[o]);
              for (int a = 0; a < f; a++) {
                for (int c = 0; c < g; c++) {
                  int at = s - g / 2 + c;
                  if (at < 0 || at >= modules) continue;
                  for (int m = 0; m < size; m++) {
                    double term =
                        (double) x[((t + a) * modules + at) * size + m]
                            * k[((a * g + c) * size + m) * out + o];
                    exact += term;
                    magnitude += Math.abs(term);
                  }
                }
              }
              double bound = integers ? 0 : (f * g * size + 2) * 0x1p-24 * magnitude;
              assertThat(Math.abs(found[i] - exact)).as("element %d", i).isLessThanOrEqualTo(bound);
            }
            assertThat(next.toFloatArray())
                .isEqualTo(Arrays.copyOfRange(x, length * modules * size, x.length));
          }
        }
      }
    }
  }

  @Test
  void aSequenceHasTheSameBitsHoweverItIsDivided() {
    Random random = new Random(2);
    int length = 9;
    for (Variant variant : BackendsUnderTest.variants()) {
      try (Tensor input = tensor(random, false, DType.F32, length, 5, 20);
          Tensor kernel = tensor(random, false, DType.BF16, 3, 3, 20, 24);
          Tensor whole = backend.f32(length, 5, 24);
          Tensor parts = backend.f32(length, 5, 24);
          Tensor one = backend.f32(2, 5, 20).fill(0);
          Tensor other = backend.f32(2, 5, 20)) {
        ModularConvolution.run(variant.backend(), input, null, kernel, null, whole, null);
        Tensor state = one;
        Tensor next = other;
        for (int begin = 0, count = 1; begin < length; begin += count, count = count % 3 + 1) {
          int end = Math.min(begin + count, length);
          ModularConvolution.run(
              variant.backend(),
              input.slice(begin, end),
              state,
              kernel,
              null,
              parts.slice(begin, end),
              next);
          Tensor spare = state;
          state = next;
          next = spare;
        }
        assertThat(parts.toFloatArray()).isEqualTo(whole.toFloatArray());
        for (var opener : variant.sameBits()) {
          try (Backend another = opener.get()) {
            parts.fill(Float.NaN);
            ModularConvolution.run(another, input, null, kernel, null, parts, null);
            assertThat(parts.toFloatArray()).isEqualTo(whole.toFloatArray());
          }
        }
      }
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (Tensor input = backend.f32(2, 3, 4);
        Tensor even = backend.f32(3, 2, 4, 5);
        Tensor kernel = backend.f32(3, 3, 4, 5);
        Tensor short1 = backend.f32(1, 3, 4);
        Tensor output = backend.f32(2, 3, 5)) {
      assertThatThrownBy(
              () -> ModularConvolution.run(backend, input, null, even, null, output, null))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith(
              "kernel must cover at least one position and an odd number of modules, found ");
      assertThatThrownBy(
              () -> ModularConvolution.run(backend, input, short1, kernel, null, output, null))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("state must be ");
      assertThatThrownBy(
              () -> ModularConvolution.run(backend, input, null, kernel, null, input, null))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("output must be ");
    }
  }

  private Tensor tensor(Random random, boolean integers, DType type, long... shape) {
    Tensor tensor = backend.allocate(type, shape);
    try (Tensor host = Tensor.allocate(type, shape)) {
      for (long i = 0; i < host.size(); i++)
        host.setFloat(i, integers ? random.nextInt(5) - 2 : (float) random.nextGaussian());
      tensor.copyFrom(host);
    }
    return tensor;
  }

  private static float[] joined(float[] first, float[] second) {
    float[] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }
}
