package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;

@ContractTest
public class MultiplicativeLayerTest {
  private final Backend backend = BackendsUnderTest.shared();

  /**
   * Tokens, inputs, modules, elements of a module: one of all; around tiles; more inputs than a
   * part; more columns than a block; more rows than a group.
   */
  private static final int[][] SIZES =
      BackendsUnderTest.sized(
          new int[][] {{1, 1, 1, 1}, {3, 33, 7, 5}, {1, 530, 16, 64}, {2, 131, 3, 65}},
          new int[][] {
            {1, 1, 1, 1},
            {3, 33, 7, 5},
            {1, 1024, 16, 64},
            {2, 1300, 3, 300},
            {17, 64, 16, 48},
            {4, 513, 1, 33}
          });

  static Stream<Arguments> variantsAndTypes() {
    return BackendsUnderTest.matrixVariants().stream()
        .flatMap(
            variant ->
                Stream.of(DType.F32, DType.BF16)
                    .flatMap(
                        input ->
                            Stream.of(DType.F32, DType.BF16, DType.F16)
                                .map(weight -> Arguments.of(variant, input, weight))));
  }

  @ParameterizedTest
  @MethodSource("variantsAndTypes")
  void smallIntegersAreExactInAnySummationOrder(Variant variant, DType input, DType weight) {
    for (int[] n : SIZES) {
      try (var problem =
          MultiplicativeLayerProblem.smallIntegers(
              variant.backend(), input, weight, n[0], n[1], n[2], n[3])) {
        float[] found = problem.run();
        int width = n[2] * n[3];
        for (int i = 0; i < found.length; i++)
          assertThat(found[i])
              .as("%s, element %d", Arrays.toString(n), i)
              .isEqualTo((float) problem.exact(i / width, i % width).value());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("variantsAndTypes")
  void realsStayWithinTheBoundOfTheirSum(Variant variant, DType input, DType weight) {
    for (int[] n : SIZES) {
      try (var problem =
          MultiplicativeLayerProblem.reals(
              variant.backend(), input, weight, n[0], n[1], n[2], n[3])) {
        float[] found = problem.run();
        int width = n[2] * n[3];
        for (int i = 0; i < found.length; i++) {
          var exact = problem.exact(i / width, i % width);
          assertThat(Math.abs(found[i] - exact.value()))
              .as("%s, element %d", Arrays.toString(n), i)
              .isLessThanOrEqualTo(problem.bound(exact));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource(BackendsUnderTest.VARIANTS)
  void bitsDependOnNeitherTokensNorThreads(Variant variant) {
    int[] n = BackendsUnderTest.sized(new int[] {5, 300, 7, 33}, new int[] {13, 1030, 16, 64});
    float[] together;
    try (var problem =
        MultiplicativeLayerProblem.reals(
            variant.backend(), DType.F32, DType.BF16, n[0], n[1], n[2], n[3])) {
      together = problem.run();
      int width = n[2] * n[3];
      for (int t : new int[] {0, n[0] - 1}) {
        try (Tensor one = variant.backend().f32(1, width)) {
          MultiplicativeLayer.run(
              variant.backend(),
              problem.input().slice(t, t + 1),
              problem.moduleWeights(),
              problem.columnWeights(),
              problem.bias(),
              one);
          assertThat(one.toFloatArray())
              .isEqualTo(Arrays.copyOfRange(together, t * width, (t + 1) * width));
        }
      }
    }
    for (Supplier<Backend> opener : variant.sameBits()) {
      try (Backend other = opener.get();
          var problem =
              MultiplicativeLayerProblem.reals(
                  other, DType.F32, DType.BF16, n[0], n[1], n[2], n[3])) {
        assertThat(problem.run()).isEqualTo(together);
      }
    }
  }

  @Test
  void noInputsLeaveTheBias() {
    try (Tensor input = backend.f32(2, 0);
        Tensor modules = backend.f32(0, 2);
        Tensor columns = backend.f32(0, 3);
        Tensor bias = backend.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
        Tensor output = backend.f32(2, 6);
        Tensor nothing = backend.f32(0, 6)) {
      output.fill(Float.NaN);
      MultiplicativeLayer.run(backend, input, modules, columns, bias, output);
      assertThat(output.toFloatArray()).containsExactly(1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6);
      MultiplicativeLayer.run(backend, input, modules, columns, null, output);
      assertThat(output.toFloatArray()).containsOnly(0);
      MultiplicativeLayer.run(backend, input.slice(0, 0), modules, columns, bias, nothing);
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (Tensor input = backend.f32(2, 4);
        Tensor half = backend.allocate(DType.F16, 2, 4);
        Tensor modules = backend.f32(4, 2);
        Tensor columns = backend.f32(4, 3);
        Tensor bf16 = backend.allocate(DType.BF16, 4, 3);
        Tensor bias = backend.f32(2, 3);
        Tensor output = backend.f32(2, 6)) {
      assertThatThrownBy(
              () -> MultiplicativeLayer.run(backend, half, modules, columns, bias, output))
          .hasMessage("input must be f32 or bf16, found f16");
      assertThatThrownBy(() -> MultiplicativeLayer.run(backend, input, bias, columns, bias, output))
          .hasMessage("moduleWeights must be [4, any], found [2, 3]");
      assertThatThrownBy(() -> MultiplicativeLayer.run(backend, input, modules, bf16, bias, output))
          .hasMessage("columnWeights must be f32, found bf16");
      assertThatThrownBy(
              () -> MultiplicativeLayer.run(backend, input, modules, columns, modules, output))
          .hasMessage("bias must be [2, 3], found [4, 2]");
      assertThatThrownBy(
              () -> MultiplicativeLayer.run(backend, input, modules, columns, bias, input))
          .hasMessage("output must be [2, 6], found [2, 4]");
      try (Tensor square = backend.f32(2, 2)) {
        assertThatThrownBy(
                () ->
                    MultiplicativeLayer.run(
                        backend, square, modules.slice(0, 2), square, null, output.slice(0, 0)))
            .hasMessage("output must be [2, 4], found [0, 6]");
      }
      try (Tensor memory = backend.f32(16)) {
        Tensor x = memory.slice(0, 4).reshape(2, 2);
        Tensor y = memory.slice(2, 6).reshape(2, 2);
        Tensor d = memory.slice(6, 8).reshape(2, 1);
        Tensor e = memory.slice(8, 12).reshape(2, 2);
        assertThatThrownBy(() -> MultiplicativeLayer.run(backend, x, d, e, null, y))
            .hasMessage("output must not overlap input");
      }
    }
  }
}
