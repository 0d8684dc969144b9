package org.winnow.moe;

import org.winnow.op.ExpertPlan;
import org.winnow.op.Routing;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;

/** A caller who closes a tensor that a routing or a plan gave him gets an exception, no garbage. */
@ContractTest
public class ClosedPartsTest {
  private final Backend backend = BackendsUnderTest.shared();

  @Test
  void ofARouting() {
    try (Routing routing = new Routing(backend.memory())) {
      routing.set(new int[] {0, 2}, new int[] {0, 1}, new float[2]);
      routing.expertIds().close();
      assertThatThrownBy(() -> routing.distinctExperts(new int[2]))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void ofAPlan() {
    try (Routing routing = new Routing(backend.memory());
        ExpertPlan plan = new ExpertPlan(backend.memory())) {
      routing.set(new int[] {0, 2}, new int[] {0, 1}, new float[2]);
      plan.build(backend, routing, 2);
      plan.activeExperts().close();
      assertThatThrownBy(() -> plan.activeExpert(0)).isInstanceOf(IllegalStateException.class);
    }
  }
}
