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
    "1, 0, 1, 0",
    "0.7, 0, 1, 0",
    "1.3, 5, 1, 0",
    "1, 1, 1, 0",
    "0.8, 0, 0.9, 0",
    "1, 40, 0.5, 0",
    "2, 0, 0.01, 0",
    "0.01, 3, 0.99, 0",
    "1, 1000, 0.7, 0",
    "1, 0, 1, 0.1",
    "1, 0, 1, 1",
    "1.5, 9, 1, 0.3",
    "1.5, 0, 0.9, 0.2",
    "1.5, 60, 0.95, 0.05",
    "0.6, 0, 1, 1e-9"
  })
  void drawsFromTheRestrictedDistribution(double temperature, int topK, double topP, double minP) {
    Random random = new Random(42);
    long seed = 99;
    SamplerOptions options = new SamplerOptions(temperature, topK, topP, minP, 1);
    Sampler sampler = new Sampler(options, seed);
    for (int round = 0; round < BackendsUnderTest.sized(5, 50); round++) {
      float[] logits = new float[97];
      for (int i = 0; i < logits.length; i++)
        logits[i] = Math.round(random.nextGaussian() * 8) / 4f; // many ties
      seed += 0x9E3779B97F4A7C15L;
      assertThat(sample(sampler, logits))
          .isEqualTo(expected(logits, options, Sampler.uniform(seed)));
    }
  }

  private static int expected(float[] logits, SamplerOptions options, double uniform) {
    int[] order =
        IntStream.range(0, logits.length)
            .boxed()
            .sorted(Comparator.<Integer>comparingDouble(i -> -logits[i]).thenComparingInt(i -> i))
            .mapToInt(i -> i)
            .toArray();
    double[] weights =
        Arrays.stream(order)
            .mapToDouble(i -> Math.exp((logits[i] - logits[order[0]]) / options.temperature()))
            .toArray();
    int kept = options.topK() == 0 ? order.length : Math.min(options.topK(), order.length);
    double total = Arrays.stream(weights, 0, kept).sum();
    double mass = 0;
    int nucleus = 0;
    while (nucleus < kept && (nucleus == 0 || mass < options.topP() * total - 1e-12 * total))
      mass += weights[nucleus++];
    if (options.topP() == 1) nucleus = kept;
    while (weights[nucleus - 1] < options.minP()) nucleus--; // the first one's weight is 1
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
    Sampler sampler = new Sampler(SamplerOptions.ofTemperature(1), 7);
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
    Sampler sampler = new Sampler(SamplerOptions.ofTemperature(1), 3);
    Sampler untouched = new Sampler(SamplerOptions.ofTemperature(1), 3);
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

  /**
   * A seen token's logit is divided by the penalty if it is positive, else multiplied. Powers of
   * two make both exact; the chosen token shows the order.
   */
  @Test
  void penalisesEachSeenTokenOnce() {
    Sampler twice = new Sampler(SamplerOptions.greedy().withRepetitionPenalty(2), 0);
    assertThat(sample(twice, new int[] {}, 4, 3, 1)).isEqualTo(0);
    assertThat(sample(twice, new int[] {0}, 4, 3, 1)).isEqualTo(1);
    assertThat(sample(twice, new int[] {0, 0, 0, 0}, 4, 1.5f, 1)).isEqualTo(0); // 2, not 1/4
    assertThat(sample(twice, new int[] {0, 2}, -1, -1.5f, -1)).isEqualTo(1); // -2
    assertThat(sample(twice, new int[] {1}, 0.5f, 1, 0.25f)).isEqualTo(0); // 0.5: the first
    assertThat(sample(twice, new int[] {0}, -0f, 0f, Float.NEGATIVE_INFINITY)).isZero();
    Sampler rewarding = new Sampler(SamplerOptions.greedy().withRepetitionPenalty(0.5), 0);
    assertThat(sample(rewarding, new int[] {2}, 4, 3, 2.5f)).isEqualTo(2);
    assertThat(sample(rewarding, new int[] {2}, -4, -3, -5)).isEqualTo(2);
  }

  /**
   * Every backend divides and multiplies in f32, rounded to nearest, and leaves the logits alone.
   */
  @Test
  void drawsFromPenalisedLogits() {
    Random random = new Random(5);
    for (int round = 0; round < BackendsUnderTest.sized(5, 40); round++) {
      SamplerOptions options =
          new SamplerOptions(
              round % 3 == 0 ? 0 : 0.9, round % 2 * 20, round % 4 == 1 ? 0.8 : 1, 0, 1.3);
      float[] logits = new float[3000]; // more than one block of a device
      for (int i = 0; i < logits.length; i++) logits[i] = (float) (2 * random.nextGaussian());
      int[] seen = random.ints(200, 0, logits.length).toArray();
      seen[0] =
          IntStream.range(0, logits.length)
              .reduce((a, b) -> logits[a] > logits[b] ? a : b)
              .orElseThrow();
      float[] penalised = logits.clone();
      for (int i : seen) penalised[i] = logits[i] < 0 ? logits[i] * 1.3f : logits[i] / 1.3f;
      try (Tensor tensor = backend.of(logits, logits.length);
          Tensor ids = backend.of(seen, seen.length);
          Tensor whole = backend.of(penalised, penalised.length)) {
        assertThat(new Sampler(options, round).sample(backend, tensor, ids))
            .isEqualTo(
                new Sampler(options.withRepetitionPenalty(1), round).sample(backend, whole, ids));
        assertThat(tensor.toFloatArray()).isEqualTo(logits);
      }
    }
  }

  @Test
  void namesTheSeenTokenThatIsNotInTheVocabulary() {
    Sampler sampler = new Sampler(SamplerOptions.ofTemperature(1).withRepetitionPenalty(1.1), 0);
    assertThatThrownBy(() -> sample(sampler, new int[] {0, 2, 3, -1}, 1, 2, 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("seen must lie in [0, 3), found 3 at index 2");
    assertThatThrownBy(() -> sample(sampler, new int[] {-1}, Float.NaN, 2, 3))
        .hasMessage("seen must lie in [0, 3), found -1 at index 0");
    Sampler without = new Sampler(SamplerOptions.greedy(), 0);
    assertThat(sample(without, new int[] {9}, 1, 2, 3)).isEqualTo(2); // not looked at
  }

  @Test
  void namesALogitThatThePenaltyMakesInfinite() {
    Sampler sampler = new Sampler(SamplerOptions.greedy().withRepetitionPenalty(1e-3), 0);
    assertThatThrownBy(() -> sample(sampler, new int[] {1}, 1, 3e38f))
        .isInstanceOf(InvalidLogitsException.class)
        .hasMessageContaining("found Infinity at index 1");
    Sampler other = new Sampler(SamplerOptions.greedy().withRepetitionPenalty(1e3), 0);
    assertThatThrownBy(() -> sample(other, new int[] {0}, -3e38f))
        .isInstanceOf(InvalidLogitsException.class)
        .hasMessageContaining("found -Infinity at index 0");
  }

  @Test
  void namesTheValueThatIsWrong() {
    assertThatThrownBy(() -> SamplerOptions.ofTemperature(-1))
        .hasMessage("temperature must be finite and not negative, found -1.0");
    assertThatThrownBy(() -> SamplerOptions.ofTemperature(Double.NaN))
        .hasMessage("temperature must be finite and not negative, found NaN");
    assertThatThrownBy(() -> SamplerOptions.greedy().withTemperature(Double.POSITIVE_INFINITY))
        .hasMessage("temperature must be finite and not negative, found Infinity");
    assertThatThrownBy(() -> SamplerOptions.greedy().withTopK(-1))
        .hasMessage("topK must not be negative, found -1");
    assertThatThrownBy(() -> SamplerOptions.greedy().withTopP(0))
        .hasMessage("topP must lie in (0, 1], found 0.0");
    assertThatThrownBy(() -> SamplerOptions.greedy().withMinP(1.1))
        .hasMessage("minP must lie in [0, 1], found 1.1");
    for (double penalty : new double[] {0, -1, Double.NaN, 1e-60, 1e60})
      assertThatThrownBy(() -> SamplerOptions.greedy().withRepetitionPenalty(penalty))
          .hasMessage("repetitionPenalty must be finite and more than 0, found " + penalty);
    assertThatThrownBy(() -> sample(Sampler.greedy())).isInstanceOf(IllegalArgumentException.class);
  }

  private int sample(Sampler sampler, int[] seen, float... logits) {
    try (Tensor tensor = backend.of(logits, logits.length);
        Tensor ids = backend.of(seen, seen.length)) {
      return sampler.sample(backend, tensor, ids);
    }
  }

  private int sample(Sampler sampler, float... logits) {
    try (Tensor tensor = backend.of(logits, logits.length)) {
      return sampler.sample(backend, tensor);
    }
  }
}
