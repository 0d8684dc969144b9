package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.function.ToDoubleBiFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Each policy ranks as its definition does, evaluated over the whole history at every step. */
class EvictionPolicyTest {
  /** A use of an expert: when in the order of all uses, and in which pass. */
  private record Use(int clock, long pass) {}

  static Stream<Arguments> policies() {
    ToDoubleBiFunction<List<Use>, Long> lastUse = (uses, now) -> uses.get(uses.size() - 1).clock;
    ToDoubleBiFunction<List<Use>, Long> number =
        (uses, now) -> uses.size() * 1e6 + uses.get(uses.size() - 1).clock;
    ToDoubleBiFunction<List<Use>, Long> fading =
        (uses, now) -> uses.stream().mapToDouble(use -> Math.pow(2, (use.pass - now) / 8.0)).sum();
    return Stream.of(
        Arguments.of(EvictionPolicy.lru(), lastUse),
        Arguments.of(EvictionPolicy.lfu(), number),
        Arguments.of(EvictionPolicy.lfru(8), fading));
  }

  @ParameterizedTest
  @MethodSource("policies")
  void ranksAsItsDefinition(EvictionPolicy policy, ToDoubleBiFunction<List<Use>, Long> definition) {
    int numExperts = 12;
    policy.begin(numExperts);
    List<List<Use>> history = new ArrayList<>();
    for (int e = 0; e < numExperts; e++) history.add(new ArrayList<>());
    Random random = new Random(3);
    int clock = 0;
    for (long pass = 1; pass <= 300; pass++) {
      for (int expert = 0; expert < numExperts; expert++) {
        if (random.nextInt(2 + expert) != 0) continue;
        policy.used(expert, pass);
        history.get(expert).add(new Use(++clock, pass));
      }
      long now = pass;
      List<Integer> used = new ArrayList<>();
      for (int e = 0; e < numExperts; e++) if (!history.get(e).isEmpty()) used.add(e);
      used.sort(Comparator.comparingDouble(e -> definition.applyAsDouble(history.get(e), now)));
      for (int i = 1; i < used.size(); i++) {
        double below = definition.applyAsDouble(history.get(used.get(i - 1)), now);
        double above = definition.applyAsDouble(history.get(used.get(i)), now);
        if (above - below > 1e-9 * above)
          assertThat(policy.rank(used.get(i - 1))).isLessThan(policy.rank(used.get(i)));
      }
      for (int e = 0; e < numExperts; e++) {
        if (history.get(e).isEmpty() && !used.isEmpty())
          assertThat(policy.rank(e)).isLessThan(policy.rank(used.get(0)));
      }
    }
  }

  @Test
  void refusesAHalfLifeThatIsNone() {
    for (double wrong : new double[] {0, -1, Double.NaN}) {
      assertThatThrownBy(() -> EvictionPolicy.lfru(wrong))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @ParameterizedTest
  @MethodSource("policies")
  void anExpertThatIsNotThereIsRefused(EvictionPolicy policy) {
    assertThatThrownBy(() -> policy.used(0, 1))
        .isExactlyInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> policy.rank(0)).isExactlyInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> policy.begin(-1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("numExperts must not be negative, found -1");
    policy.begin(2);
    assertThatThrownBy(() -> policy.used(2, 1))
        .isExactlyInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> policy.rank(-1)).isExactlyInstanceOf(IndexOutOfBoundsException.class);
  }
}
