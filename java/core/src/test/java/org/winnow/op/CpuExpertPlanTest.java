package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.winnow.Backend;
import org.winnow.cpu.CpuBackend;

/** Only the CPU backend checks the contents of a routing. */
class CpuExpertPlanTest {
  @Test
  void refusesContentsThatDoNotFit() {
    try (Backend backend = new CpuBackend();
        Routing routing = new Routing();
        ExpertPlan plan = new ExpertPlan()) {
      routing.set(new int[] {0, 1, 3}, new int[] {0, 4, 2}, new float[3]);
      assertThatThrownBy(() -> plan.build(backend, routing, 4))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("expertIds must lie in [0, 4), found 4 at pair 1");
      assertThat(plan.numRows()).isZero();
      routing.tokenOffsets().setInt(1, 5);
      assertThatThrownBy(() -> plan.build(backend, routing, 5))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("tokenOffsets must ascend from 0 to 3");
      assertThatThrownBy(() -> plan.activeExpert(0)).isInstanceOf(IndexOutOfBoundsException.class);
    }
  }
}
