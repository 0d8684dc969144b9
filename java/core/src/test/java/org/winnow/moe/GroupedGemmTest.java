package org.winnow.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.ExpertNotResidentException;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.moe.GroupedGemmProblem.Exact;
import org.winnow.moe.GroupedGemmProblem.Form;

class GroupedGemmTest {
  private final Backend backend = new CpuBackend();

  @AfterEach
  void close() {
    backend.close();
  }

  /** Rows per expert, inputSize, outputSize. */
  static Stream<Arguments> sizes() {
    return Stream.of(
        Arguments.of(new int[] {1}, 1, 1),
        Arguments.of(new int[] {0, 3, 0, 5}, 31, 33),
        Arguments.of(new int[] {31, 32, 33}, 64, 65),
        Arguments.of(new int[] {0, 0, 70, 0}, 515, 7));
  }

  @ParameterizedTest
  @MethodSource("sizes")
  void smallIntegersAreExactInAnySummationOrder(int[] rowsPerExpert, int inputSize, int outputSize) {
    try (var p = GroupedGemmProblem.smallIntegers(Form.plain(), new Random(42), rowsPerExpert, inputSize, outputSize).run(backend)) {
      for (int row = 0; row < p.numRows(); row++) {
        for (int column = 0; column < outputSize; column++) {
          assertThat(p.output().getFloat((long) row * outputSize + column)).isEqualTo((float) p.exact(row, column).value());
        }
      }
    }
  }

  static Stream<Form> forms() {
    return Stream.of(Activation.values())
        .flatMap(activation -> Stream.of(DType.F32, DType.BF16, DType.F16)
            .map(weightType -> new Form(weightType == DType.F32 ? DType.F32 : DType.BF16, weightType, weightType == DType.BF16 ? DType.BF16 : DType.F32,
                true, weightType != DType.BF16, activation)));
  }

  @ParameterizedTest
  @MethodSource("forms")
  void realsAreWithinTheBoundOfF32Arithmetic(Form form) {
    try (var p = GroupedGemmProblem.reals(form, new Random(42), new int[] {2, 0, 1, 9}, 67, 19).run(backend)) {
      for (int row = 0; row < p.numRows(); row++) {
        for (int column = 0; column < p.outputSize(); column++) {
          Exact exact = p.exact(row, column);
          assertThat(Math.abs(p.output().getFloat((long) row * p.outputSize() + column) - exact.value())).isLessThanOrEqualTo(exact.bound());
        }
      }
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (var p = GroupedGemmProblem.reals(Form.plain(), new Random(1), new int[] {2}, 4, 3);
        Tensor tooWide = Tensor.f32(2, 5);
        Tensor half = Tensor.allocate(DType.F16, 2, 4)) {
      assertThatThrownBy(() -> run(p, tooWide, Activation.NONE)).isInstanceOf(IllegalArgumentException.class).hasMessage("input must be [any, 4], found [2, 5]");
      assertThatThrownBy(() -> run(p, half, Activation.NONE)).isInstanceOf(IllegalArgumentException.class).hasMessage("input must be f32 or bf16, found f16");
      assertThatThrownBy(() -> run(p, p.input(), Activation.CLAMPED_SWIGLU))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("activation must be one without a gate, found CLAMPED_SWIGLU");
    }
  }

  @Test
  void namesTheExpertThatIsAbsent() {
    try (var p = GroupedGemmProblem.reals(Form.plain(), new Random(1), new int[] {2, 0, 3, 1}, 4, 3)) {
      p.weights().clear(2);
      p.weights().clear(3);
      assertThatThrownBy(() -> p.run(backend)).isInstanceOf(ExpertNotResidentException.class).hasMessageStartingWith("expert 2 has rows");
      assertThat(p.output().toFloatArray()).containsOnly(Float.NaN);
    }
  }

  private void run(GroupedGemmProblem p, Tensor input, Activation activation) {
    GroupedGemm.run(backend, input, p.sourceRows(), p.expertOffsets(), p.activeExperts(), (int) p.activeExperts().dim(0), p.weights(), activation, p.output());
  }
}
