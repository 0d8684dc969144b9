package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;

/** Tests of choices as a whole. TopKRouterTest tests how they are made. */
@ContractTest
public class RoutingTest {
  private final Backend backend = BackendsUnderTest.shared();

  @Test
  void distinctExpertsAreListedBestFirst() {
    try (Routing routing = new Routing(backend.memory())) {
      int[] ids = new int[8];
      // best of each token: 3, none, 6, 1; second best: 1, none, 3, none; third: 0
      routing.set(new int[] {0, 2, 2, 5, 6}, new int[] {3, 1, 6, 3, 0, 1}, new float[6]);
      assertThat(routing.distinctExperts(ids)).isEqualTo(4);
      assertThat(Arrays.copyOf(ids, 4)).containsExactly(3, 6, 1, 0);
      routing.set(new int[] {0, 1}, new int[] {7}, new float[1]); // nothing is left of before
      assertThat(routing.distinctExperts(ids)).isEqualTo(1);
      assertThat(ids[0]).isEqualTo(7);
      routing.set(new int[] {0, 0}, new int[0], new float[0]);
      assertThat(routing.distinctExperts(ids)).isZero();
      int[] many = new int[100]; // more than there was room for
      Arrays.setAll(many, i -> i * 7 % 5);
      routing.set(new int[] {0, 100}, many, new float[100]);
      assertThat(routing.distinctExperts(ids)).isEqualTo(5);
      assertThat(Arrays.copyOf(ids, 5)).containsExactly(0, 2, 4, 1, 3);
      routing.set(new int[] {0, 1}, new int[] {8}, new float[1]);
      assertThatThrownBy(() -> routing.distinctExperts(ids))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("ids must have an entry per expert, found 8 and expert 8");
    }
  }

  @Test
  void twoThreadsThatFillItLeaveOneOfBoth() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (Routing routing = new Routing(backend.memory())) {
      for (int round = 1; round <= 300; round++) {
        List<Callable<Void>> fill = List.of(fill(routing, 1), fill(routing, round));
        for (Future<Void> filled : threads.invokeAll(fill)) filled.get();
        int numTokens = routing.numTokens();
        assertThat(numTokens).isIn(1, round);
        assertThat(routing.numRows()).isEqualTo(2 * numTokens);
        assertThat(routing.tokenOffsets().getInt(numTokens)).isEqualTo(2 * numTokens);
        assertThat(routing.expertIds().getInt(0)).isEqualTo(numTokens);
      }
    } finally {
      threads.shutdown();
    }
  }

  /** Two choices per token, of the expert whose id is the number of tokens. */
  private static Callable<Void> fill(Routing routing, int numTokens) {
    int[] offsets = new int[numTokens + 1];
    Arrays.setAll(offsets, token -> 2 * token);
    int[] ids = new int[2 * numTokens];
    Arrays.fill(ids, numTokens);
    return () -> {
      routing.set(offsets, ids, new float[ids.length]);
      return null;
    };
  }

  @Test
  void afterCloseNothingIsListed() {
    Routing routing = new Routing(backend.memory());
    routing.close();
    assertThatThrownBy(() -> routing.distinctExperts(new int[1]))
        .isInstanceOf(IllegalStateException.class);
  }
}
