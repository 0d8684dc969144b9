package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.winnow.AnotherMemory;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.ExpertNotResidentException;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.op.GroupedGemmProblem.Form;

/** What a grouped GEMM and its matrices refuse, by name and before anything has run. */
@ContractTest
public class GroupedGemmRefusalsTest {
  private final Backend backend = BackendsUnderTest.shared();

  @Test
  void namesTheArgumentThatIsWrong() {
    try (var p =
            GroupedGemmProblem.reals(backend, Form.plain(), new Random(1), new int[] {2}, 4, 3);
        Tensor tooWide = backend.f32(2, 5);
        Tensor half = backend.allocate(DType.F16, 2, 4);
        Tensor halfOutput = backend.allocate(DType.F16, 2, 3)) {
      refuses(
          "input must be [any, 4], found [2, 5]",
          () -> run(p, tooWide, 1, Activation.NONE, p.output()));
      refuses(
          "input must be f32 or bf16, found f16",
          () -> run(p, half, 1, Activation.NONE, p.output()));
      refuses(
          "output must be [any, 3], found [2, 5]",
          () -> run(p, p.input(), 1, Activation.NONE, tooWide));
      refuses(
          "output must be f32 or bf16, found f16",
          () -> run(p, p.input(), 1, Activation.NONE, halfOutput));
      refuses(
          "numActive must lie in [0, 1], found 2",
          () -> run(p, p.input(), 2, Activation.NONE, p.output()));
      refuses(
          "activation must be one without a gate, found CLAMPED_SWIGLU: the matrices are not gated",
          () -> run(p, p.input(), 1, Activation.CLAMPED_SWIGLU, p.output()));
      refuses(
          "output must not overlap input",
          () ->
              run(
                  p,
                  p.input(),
                  1,
                  Activation.NONE,
                  p.input().slice(0, 1).reshape(4).slice(0, 3).reshape(1, 3)));
      assertThat(p.output().toFloatArray()).containsOnly(Float.NaN);
    }
  }

  @Test
  void namesTheTypeOfProductsThatItDoesNotHave() {
    for (DType type : DType.values()) {
      if (type == DType.F32 || type == DType.BF16) continue;
      refuses(
          "productType must be f32 or bf16, found " + type,
          () ->
              new ExpertMatrices(
                  backend.memory(),
                  WeightFormat.BF16,
                  WeightLayout.ROWS,
                  type,
                  1,
                  3,
                  4,
                  false,
                  false));
    }
  }

  @Test
  void anExpertThatIsAbsentIsNamedOrItsRowsAreNaN() {
    try (var p =
        GroupedGemmProblem.reals(
            backend, Form.plain(), new Random(1), new int[] {2, 0, 3, 1}, 4, 3)) {
      p.weights().clear(2);
      p.weights().clear(3);
      p.output().fill(7);
      try {
        p.run();
        float[] found = p.output().toFloatArray();
        for (int i = 0; i < found.length; i++) assertThat(Float.isNaN(found[i])).isEqualTo(i >= 6);
      } catch (ExpertNotResidentException e) {
        assertThat(e).hasMessageStartingWith("expert 2 has rows");
        assertThat(p.output().toFloatArray()).containsOnly(7);
      }
    }
  }

  @Test
  void refusesWhatLiesInAnotherMemory() {
    TensorMemory elsewhere = AnotherMemory.create();
    try (var p =
            GroupedGemmProblem.reals(backend, Form.plain(), new Random(1), new int[] {2}, 4, 3);
        Tensor input = Tensor.allocate(elsewhere, DType.F32, 2, 4)) {
      refuses(
          "input must lie in " + backend.memory() + ", found elsewhere's memory",
          () -> run(p, input, 1, Activation.NONE, p.output()));
    }
  }

  @Test
  void namesTheLayoutThatAFormatMemoryOrTableDoesNotHave() {
    refuses(
        "layout must be rows for i8_row, found panels",
        () -> matrices(TensorMemory.host(), WeightFormat.I8_ROW));
    TensorMemory elsewhere = AnotherMemory.create();
    refuses(
        "layout must be rows in " + elsewhere + ", found panels",
        () -> matrices(elsewhere, WeightFormat.BF16));
    try (Tensor there = Tensor.allocate(elsewhere, DType.BF16, 3, 4);
        Tensor rows = Tensor.allocate(DType.BF16, 3, 4);
        ExpertMatrices panels = matrices(TensorMemory.host(), WeightFormat.BF16)) {
      refuses(
          "plane 0 must lie in " + TensorMemory.host() + ", found " + elsewhere,
          () -> Matrix.of(WeightLayout.PANELS, there));
      refuses(
          "weight must lie in " + TensorMemory.host() + ", found " + elsewhere,
          () -> WeightLayout.PANELS.arrange(there));
      WeightLayout.ROWS.arrange(there); // is nothing to do anywhere
      refuses(
          "weight must lie in panels, found rows",
          () -> panels.set(0, Matrix.of(rows), null, null, null));
    }
  }

  private static ExpertMatrices matrices(TensorMemory memory, WeightFormat format) {
    return new ExpertMatrices(
        memory, format, WeightLayout.PANELS, DType.F32, 1, 3, 4, false, false);
  }

  private static void refuses(String message, Runnable call) {
    assertThatThrownBy(call::run).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  private void run(
      GroupedGemmProblem p, Tensor input, int numActive, Activation activation, Tensor output) {
    GroupedGemm.run(
        backend,
        input,
        p.sourceRows(),
        p.expertOffsets(),
        p.activeExperts(),
        numActive,
        p.weights(),
        activation,
        output);
  }
}
