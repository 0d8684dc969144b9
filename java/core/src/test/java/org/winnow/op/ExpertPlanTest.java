package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.AnotherMemory;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;

@ContractTest
public class ExpertPlanTest {
  private final Backend backend = BackendsUnderTest.shared();
  private final Routing routing = new Routing(backend.memory());
  private final ExpertPlan plan = new ExpertPlan(backend.memory());

  @AfterEach
  void close() {
    plan.close();
    routing.close();
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1", "0, 4, 2", "5, 3, 3", "100, 8, 2", "512, 128, 8", "33, 7, 0"})
  void sortsPairsByExpertAndKeepsTheirOrder(int numTokens, int numExperts, int maxPerToken) {
    routeAtRandom(new Random(7), numTokens, numExperts, maxPerToken);
    plan.build(backend, routing, numExperts);
    List<int[]> pairs = new ArrayList<>(); // {token, expert, pair}
    int[] offsets = routing.tokenOffsets().toIntArray();
    int[] ids = routing.expertIds().toIntArray();
    for (int t = 0; t < numTokens; t++) {
      for (int p = offsets[t]; p < offsets[t + 1]; p++) pairs.add(new int[] {t, ids[p], p});
    }
    pairs.sort((a, b) -> Integer.compare(a[1], b[1])); // stable
    int[] sourceRows = plan.sourceRows().toIntArray();
    int[] assignmentRows = plan.assignmentRows().toIntArray();
    int[] expertOffsets = plan.expertOffsets().toIntArray();
    int[] listed = plan.activeExperts().toIntArray();
    assertThat(plan.numRows()).isEqualTo(pairs.size());
    assertThat(plan.numTokens()).isEqualTo(numTokens);
    for (int row = 0; row < pairs.size(); row++) {
      assertThat(sourceRows[row]).isEqualTo(pairs.get(row)[0]);
      assertThat(assignmentRows[pairs.get(row)[2]]).isEqualTo(row);
    }
    List<Integer> active = new ArrayList<>();
    for (int e = 0; e <= numExperts; e++) {
      int expert = e;
      assertThat(expertOffsets[e])
          .isEqualTo((int) pairs.stream().filter(pair -> pair[1] < expert).count());
      if (pairs.stream().anyMatch(pair -> pair[1] == expert)) active.add(e);
    }
    assertThat(plan.maxActiveExperts())
        .isBetween(active.size(), Math.min(pairs.size(), numExperts));
    assertThat(plan.numActiveExperts()).isEqualTo(active.size());
    assertThat(plan.maxActiveExperts()).isEqualTo(active.size());
    for (int i = active.size(); i < numExperts; i++) assertThat(listed[i]).isEqualTo(-1);
    for (int i = 0; i < active.size(); i++) {
      assertThat(plan.activeExpert(i)).isEqualTo(active.get(i));
      assertThat(listed[i]).isEqualTo(active.get(i));
    }
  }

  @Test
  void isReusedForLargerAndSmallerBatchesAndOtherNumbersOfExperts() {
    for (int numTokens : new int[] {3, 400, 2})
      sortsPairsByExpertAndKeepsTheirOrder(numTokens, 5 + numTokens, 4);
  }

  @Test
  void namesWhatIsWrong() {
    assertThatThrownBy(() -> plan.build(backend, routing, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("numExperts must be at least 1, found 0");
    assertThatThrownBy(() -> plan.activeExpert(0)).isInstanceOf(IndexOutOfBoundsException.class);
    try (Routing elsewhere = new Routing(AnotherMemory.create())) {
      assertThatThrownBy(() -> plan.build(backend, elsewhere, 2))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("routing must lie in " + backend.memory() + ", found elsewhere's memory");
    }
  }

  @Test
  void refusesUseAfterClose() {
    plan.close();
    plan.close();
    assertThatThrownBy(() -> plan.build(backend, routing, 2))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("expert plan is closed");
    try (ExpertPlan open = new ExpertPlan(backend.memory())) {
      routing.close();
      assertThatThrownBy(() -> open.build(backend, routing, 2))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("routing is closed");
    }
  }

  @Test
  void aRoutingRefusesContentsThatDoNotFit() {
    assertThatThrownBy(() -> routing.set(new int[] {0, 2, 1}, new int[1], new float[1]))
        .hasMessage("tokenOffsets must ascend from 0 to 1");
    assertThatThrownBy(() -> routing.set(new int[] {0, 1}, new int[1], new float[2]))
        .hasMessage("routingWeights must be [1], found [2]");
    assertThatThrownBy(() -> routing.set(new int[] {0, 1}, new int[] {-3}, new float[1]))
        .hasMessage("expertIds must not be negative, found -3");
    assertThatThrownBy(() -> routing.set(new int[0], new int[0], new float[0]))
        .hasMessage("tokenOffsets must ascend from 0 to 0");
  }

  private void routeAtRandom(Random random, int numTokens, int numExperts, int maxPerToken) {
    int[] offsets = new int[numTokens + 1];
    int[] ids = new int[numTokens * maxPerToken];
    for (int t = 0; t < numTokens; t++) {
      offsets[t + 1] = offsets[t] + random.nextInt(maxPerToken + 1);
      for (int p = offsets[t]; p < offsets[t + 1]; p++) ids[p] = random.nextInt(numExperts);
    }
    routing.set(offsets, Arrays.copyOf(ids, offsets[numTokens]), new float[offsets[numTokens]]);
  }
}
