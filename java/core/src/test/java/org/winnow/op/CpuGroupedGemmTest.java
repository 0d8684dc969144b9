package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.winnow.Backend;
import org.winnow.ExpertNotResidentException;
import org.winnow.cpu.CpuBackend;
import org.winnow.op.GroupedGemmProblem.Form;

/** Only the CPU backend checks the contents of indices. */
class CpuGroupedGemmTest {
  private final Backend backend = new CpuBackend();

  @AfterEach
  void close() {
    backend.close();
  }

  @Test
  void refusesRowsOutsideTheInputAndExpertsOutsideTheLayer() {
    try (var p = problem(2)) {
      p.activeExperts().setInt(0, 1);
      assertThatThrownBy(p::run)
          .hasMessageContaining("activeExperts must lie below numExperts, found 1");
      p.activeExperts().setInt(0, -2);
      assertThatThrownBy(p::run)
          .hasMessageContaining("activeExperts must lie below numExperts, found -2");
      p.activeExperts().setInt(0, 0);
      p.sourceRows().setInt(1, 2);
      assertThatThrownBy(p::run)
          .hasMessageContaining("sourceRows must lie below numTokens, found 2");
      assertThat(p.output().toFloatArray()).containsOnly(Float.NaN);
    }
  }

  @Test
  void namesTheExpertThatIsAbsentAndWritesNothing() {
    try (var p = problem(2, 0, 3, 1)) {
      p.weights().clear(2);
      p.weights().clear(3);
      p.output().fill(7);
      assertThatThrownBy(p::run)
          .isInstanceOf(ExpertNotResidentException.class)
          .hasMessageStartingWith("expert 2 has rows");
      assertThat(p.output().toFloatArray()).containsOnly(7);
    }
  }

  private GroupedGemmProblem problem(int... rowsPerExpert) {
    return GroupedGemmProblem.reals(backend, Form.plain(), new Random(1), rowsPerExpert, 4, 3);
  }
}
