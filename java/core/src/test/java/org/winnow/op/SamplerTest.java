package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;

@ContractTest
public class SamplerTest {
  private final Backend backend = BackendsUnderTest.shared();

  @Test
  void temperatureZeroIsTheLargestLogitAndOfEqualOnesTheFirst() {
    assertThat(sample(Sampler.greedy(), 1, 5, 3, 5)).isEqualTo(1);
    assertThat(sample(Sampler.greedy(), -0f, 0f)).isZero();
    assertThat(sample(Sampler.greedy(), Float.NEGATIVE_INFINITY, -1e30f)).isEqualTo(1);
  }

  /** Compares with a sort of all tokens and a linear walk. */
  @ParameterizedTest
  @CsvSource({
    "1, 0, 1",
    "0.7, 0, 1",
    "1.3, 5, 1",
    "1, 1, 1",
    "0.8, 0, 0.9",
    "1, 40, 0.5",
    "2, 0, 0.01",
    "0.01, 3, 0.99",
    "1, 1000, 0.7"
  })
  void drawsFromTheRestrictedDistribution(double temperature, int topK, double topP) {
    Random random = new Random(42);
    long seed = 99;
    Sampler sampler = new Sampler(temperature, topK, topP, seed);
    for (int round = 0; round < BackendsUnderTest.sized(5, 50); round++) {
      float[] logits = new float[97];
      for (int i = 0; i < logits.length; i++)
        logits[i] = Math.round(random.nextGaussian() * 8) / 4f; // many ties
      seed += 0x9E3779B97F4A7C15L;
      assertThat(sample(sampler, logits))
          .isEqualTo(expected(logits, temperature, topK, topP, Sampler.uniform(seed)));
    }
  }

  private static int expected(
      float[] logits, double temperature, int topK, double topP, double uniform) {
    int[] order =
        IntStream.range(0, logits.length)
            .boxed()
            .sorted(Comparator.<Integer>comparingDouble(i -> -logits[i]).thenComparingInt(i -> i))
            .mapToInt(i -> i)
            .toArray();
    double[] weights =
        Arrays.stream(order)
            .mapToDouble(i -> Math.exp((logits[i] - logits[order[0]]) / temperature))
            .toArray();
    int kept = topK == 0 ? order.length : Math.min(topK, order.length);
    double total = Arrays.stream(weights, 0, kept).sum();
    double mass = 0;
    int nucleus = 0;
    while (nucleus < kept && (nucleus == 0 || mass < topP * total - 1e-12 * total))
      mass += weights[nucleus++];
    if (topP == 1) nucleus = kept;
    double[] byToken = new double[logits.length];
    for (int i = 0; i < nucleus; i++) byToken[order[i]] = weights[i];
    double target = uniform * Arrays.stream(byToken).sum();
    double running = 0;
    for (int i = 0; i < byToken.length; i++) {
      running += byToken[i];
      if (running > target) return i;
    }
    throw new AssertionError("no token");
  }

  /**
   * The generator is part of the contract. Expected values are the published SplitMix64 outputs for
   * seed 1234567, upper 53 bits.
   */
  @Test
  void generatorIsSplitMix64() {
    long state = 1234567;
    for (String expected :
        new String[] {"6457827717110365317", "3203168211198807973", "9817491932198370423"}) {
      state += 0x9E3779B97F4A7C15L;
      assertThat(Sampler.uniform(state))
          .isEqualTo((Long.parseUnsignedLong(expected) >>> 11) * 0x1p-53);
    }
  }

  @Test
  void frequenciesFollowTheProbabilities() {
    float[] logits = {0, (float) Math.log(2), (float) Math.log(5), Float.NEGATIVE_INFINITY};
    int draws = BackendsUnderTest.sized(500, 4_000, 40_000);
    int[] counts = new int[4];
    Sampler sampler = new Sampler(1, 0, 1, 7);
    try (Tensor tensor = backend.of(logits, 4)) {
      for (int i = 0; i < draws; i++) counts[sampler.sample(backend, tensor)]++;
    }
    double[] probabilities = {0.125, 0.25, 0.625};
    for (int i = 0; i < 3; i++) { // five standard deviations of a binomial
      double deviation = Math.sqrt(draws * probabilities[i] * (1 - probabilities[i]));
      assertThat(Math.abs(counts[i] - draws * probabilities[i])).isLessThanOrEqualTo(5 * deviation);
    }
    assertThat(counts[3]).isZero();
  }

  @Test
  void refusesLogitsThatAreNoNumbersAndKeepsItsPlace() {
    Sampler sampler = new Sampler(1, 0, 1, 3);
    Sampler untouched = new Sampler(1, 0, 1, 3);
    assertThatThrownBy(() -> sample(sampler, 1, Float.NaN))
        .isInstanceOf(InvalidLogitsException.class)
        .hasMessage(
            "logits of token 0: expected no NaN and a finite maximum, found NaN at index 1");
    assertThatThrownBy(() -> sample(sampler, Float.POSITIVE_INFINITY))
        .isInstanceOf(InvalidLogitsException.class);
    assertThatThrownBy(() -> sample(sampler, Float.NEGATIVE_INFINITY))
        .isInstanceOf(InvalidLogitsException.class)
        .hasMessageContaining("-Infinity");
    for (int i = 0; i < 20; i++)
      assertThat(sample(sampler, 1, 2, 3, 2, 1)).isEqualTo(sample(untouched, 1, 2, 3, 2, 1));
  }

  @Test
  void namesTheValueThatIsWrong() {
    assertThatThrownBy(() -> new Sampler(-1, 0, 1, 0))
        .hasMessage("temperature must be 0 or more, found -1.0");
    assertThatThrownBy(() -> new Sampler(Double.NaN, 0, 1, 0))
        .hasMessage("temperature must be 0 or more, found NaN");
    assertThatThrownBy(() -> new Sampler(1, -1, 1, 0))
        .hasMessage("topK must not be negative, found -1");
    assertThatThrownBy(() -> new Sampler(1, 0, 0, 0))
        .hasMessage("topP must lie in (0, 1], found 0.0");
    assertThatThrownBy(() -> sample(Sampler.greedy())).isInstanceOf(IllegalArgumentException.class);
  }

  private int sample(Sampler sampler, float... logits) {
    try (Tensor tensor = backend.of(logits, logits.length)) {
      return sampler.sample(backend, tensor);
    }
  }
}
