package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.winnow.BudgetException;
import org.winnow.ScarceMemory;
import org.winnow.Tensor;

/** Behaviour of a routing and a plan when memory runs out. */
class RoutingMemoryTest {
  private final ScarceMemory memory = new ScarceMemory();

  @Test
  void aRoutingAndAPlanThatCannotGrowStayAsTheyAre() {
    try (Routing routing = new Routing(memory.memory());
        ExpertPlan plan = new ExpertPlan(memory.memory())) {
      routing.reserve(2, 4);
      plan.reserve(4, 8);
      for (int room = 0; room < 3; room++) {
        int rows = 4000 << room;
        int experts = 9 + room;
        memory.allocationsLeft = room;
        assertThatThrownBy(() -> routing.reserve(rows, rows)).isInstanceOf(BudgetException.class);
        memory.allocationsLeft = room;
        assertThatThrownBy(() -> plan.reserve(rows, experts)).isInstanceOf(BudgetException.class);
        memory.allocationsLeft = 0;
        routing.reserve(2, 4);
        plan.reserve(4, 8);
        for (Tensor tensor :
            List.of(
                routing.tokenOffsets(),
                routing.expertIds(),
                routing.routingWeights(),
                plan.expertOffsets(),
                plan.sourceRows(),
                plan.assignmentRows(),
                plan.activeExperts())) assertThat(tensor.isClosed()).isFalse();
      }
      memory.allocationsLeft = Integer.MAX_VALUE;
    }
  }
}
