package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;
import org.winnow.op.TopKRouter.EmptyPolicy;
import org.winnow.op.TopKRouter.GroupScore;
import org.winnow.op.TopKRouter.Score;

@ContractTest
public class TopKRouterTest {
  private static final float INFINITY = Float.POSITIVE_INFINITY;

  private final Backend backend = BackendsUnderTest.shared();
  private final Routing routing = new Routing(backend.memory());
  private final Tensor bias = backend.f32(128);

  TopKRouterTest() {
    Random random = new Random(1);
    float[] values = new float[128];
    for (int e = 0; e < 128; e++) values[e] = (float) (0.3 * random.nextGaussian());
    bias.copyFrom(values);
  }

  @AfterEach
  void close() {
    bias.close();
    routing.close();
  }

  /** Every rule and option, for 8 or more experts. */
  private Map<String, TopKRouter> rules(int numExperts) {
    Tensor correction = bias.slice(0, numExperts);
    Map<String, TopKRouter.Builder> rules = new TreeMap<>();
    rules.put("softmax", TopKRouter.softmax(4));
    rules.put("softmax over all", TopKRouter.softmax(numExperts));
    rules.put("softmax, not renormalised", TopKRouter.softmax(4).renormalise(false));
    rules.put("softmax, Switch", TopKRouter.softmax(1).renormalise(false));
    rules.put("softmax, corrected", TopKRouter.softmax(3).correctionBias(correction));
    rules.put(
        "softmax, groups by maximum",
        TopKRouter.softmax(3).groups(4, 2, GroupScore.MAX).renormalise(false).scalingFactor(16));
    rules.put(
        "softmax, groups by two", TopKRouter.softmax(2).groups(4, 1, GroupScore.SUM_OF_TOP_TWO));
    rules.put("softmax, top-p", TopKRouter.softmax(numExperts).topP(0.6f));
    rules.put(
        "softmax, top-p between 2 and 5",
        TopKRouter.softmax(5).topP(0.5f).minExperts(2).renormalise(false));
    rules.put("softmax, min-p", TopKRouter.softmax(numExperts).minP(0.25f));
    rules.put("softmax, skip", TopKRouter.softmax(4).skipBelow(0.4f));
    rules.put("softmax, skip, at least 2", TopKRouter.softmax(4).skipBelow(0.9f).minExperts(2));
    rules.put("sigmoid", TopKRouter.sigmoid(4));
    rules.put(
        "sigmoid, not renormalised", TopKRouter.sigmoid(4).renormalise(false).scalingFactor(0.5f));
    rules.put(
        "sigmoid, DeepSeek-V3",
        TopKRouter.sigmoid(4)
            .correctionBias(correction)
            .groups(4, 2, GroupScore.SUM_OF_TOP_TWO)
            .scalingFactor(2.5f));
    rules.put(
        "sigmoid, groups by maximum",
        TopKRouter.sigmoid(2).correctionBias(correction).groups(8, 3, GroupScore.MAX));
    rules.put("sigmoid, skip", TopKRouter.sigmoid(4).correctionBias(correction).skipBelow(0.95f));
    rules.put("sparsemax", TopKRouter.sparsemax());
    rules.put("sparsemax, at most 2", TopKRouter.sparsemax().maxExperts(2));
    rules.put("sparsemax, skip", TopKRouter.sparsemax().skipBelow(0.5f).renormalise(false));
    rules.put("hard threshold", TopKRouter.threshold(Score.HARD_THRESHOLD, 1.2f));
    rules.put(
        "hard threshold, at most 2, raw",
        TopKRouter.threshold(Score.HARD_THRESHOLD, 0.5f).maxExperts(2).renormalise(false));
    rules.put(
        "shifted threshold", TopKRouter.threshold(Score.SHIFTED_THRESHOLD, -0.3f).scalingFactor(3));
    rules.put(
        "shifted threshold, empty",
        TopKRouter.threshold(Score.SHIFTED_THRESHOLD, 2.2f).whenEmpty(EmptyPolicy.ZERO));
    Map<String, TopKRouter> built = new TreeMap<>();
    rules.forEach((name, rule) -> built.put(name, rule.build()));
    return built;
  }

  @ParameterizedTest
  @ValueSource(ints = {8, 24, 128})
  void agreesWithDoublePrecision(int numExperts) {
    int numTokens = BackendsUnderTest.sized(17, 150);
    float[] z = logits(new Random(numExperts), numTokens * numExperts);
    try (Tensor logits = backend.of(z, numTokens, numExperts)) {
      rules(numExperts)
          .forEach(
              (name, rule) -> {
                rule.run(backend, logits, routing);
                assertThat(routing.numTokens()).isEqualTo(numTokens);
                int[] offsets = routing.tokenOffsets().toIntArray();
                int[] chosen = routing.expertIds().toIntArray();
                float[] weights = routing.routingWeights().toFloatArray();
                for (int t = 0; t < numTokens; t++) {
                  ExactRouting exact =
                      ExactRouting.of(
                          rule, Arrays.copyOfRange(z, t * numExperts, (t + 1) * numExperts));
                  assertToken(name + ", token " + t, t, offsets, chosen, weights, exact);
                }
              });
    }
  }

  @Test
  void theRulesOfTheTestReachTheirCases() {
    try (Tensor logits = backend.of(logits(new Random(8), 150 * 8), 150, 8)) {
      Map<String, int[]> counts = new TreeMap<>();
      rules(8)
          .forEach(
              (name, rule) -> {
                rule.run(backend, logits, routing);
                int[] offsets = routing.tokenOffsets().slice(0, 151).toIntArray();
                int[] perToken = new int[150];
                for (int t = 0; t < 150; t++) perToken[t] = offsets[t + 1] - offsets[t];
                counts.put(name, Arrays.stream(perToken).distinct().sorted().toArray());
              });
      assertThat(counts.get("softmax")).containsExactly(4);
      assertThat(counts.get("softmax, top-p between 2 and 5")).contains(2, 3).doesNotContain(1, 6);
      assertThat(counts.get("softmax, skip")).containsExactly(1, 2, 3, 4);
      assertThat(counts.get("sparsemax")).contains(1, 2, 3);
      assertThat(counts.get("shifted threshold, empty")).contains(0, 1);
      assertThat(counts.get("hard threshold, at most 2, raw")).containsExactly(1, 2);
    }
  }

  @Test
  void givesTheSameBitsInEveryVariantAndBatch() {
    int numTokens = BackendsUnderTest.sized(40, 300);
    int numExperts = 24;
    List<Backend> own = new ArrayList<>();
    List<Backend> others = new ArrayList<>();
    for (Variant variant : BackendsUnderTest.variants()) {
      others.add(variant.backend());
      variant.sameBits().forEach(opener -> own.add(opener.get()));
    }
    others.addAll(own);
    try (Tensor logits =
            backend.of(logits(new Random(2), numTokens * numExperts), numTokens, numExperts);
        Routing one = new Routing(backend.memory())) {
      rules(numExperts)
          .forEach(
              (name, rule) -> {
                rule.run(backend, logits, routing);
                int rows = routing.numRows();
                int[] offsets = routing.tokenOffsets().slice(0, numTokens + 1).toIntArray();
                int[] ids = routing.expertIds().slice(0, rows).toIntArray();
                float[] weights = routing.routingWeights().slice(0, rows).toFloatArray();
                for (Backend other : others) {
                  rule.run(other, logits, one);
                  assertThat(one.tokenOffsets().slice(0, numTokens + 1).toIntArray())
                      .as(name)
                      .isEqualTo(offsets);
                  assertThat(one.expertIds().slice(0, rows).toIntArray()).as(name).isEqualTo(ids);
                  assertThat(one.routingWeights().slice(0, rows).toFloatArray())
                      .as(name)
                      .isEqualTo(weights);
                }
                for (int t = 0; t < numTokens; t += 37) {
                  rule.run(backend, logits.slice(t, t + 1), one);
                  int count = offsets[t + 1] - offsets[t];
                  assertThat(one.numRows()).isEqualTo(count);
                  assertThat(one.expertIds().slice(0, count).toIntArray())
                      .as(name)
                      .isEqualTo(Arrays.copyOfRange(ids, offsets[t], offsets[t + 1]));
                  assertThat(one.routingWeights().slice(0, count).toFloatArray())
                      .as(name)
                      .isEqualTo(Arrays.copyOfRange(weights, offsets[t], offsets[t + 1]));
                }
              });
    } finally {
      own.forEach(Backend::close);
    }
  }

  @Test
  void tiesGoToTheSmallerIndexAndMinusZeroIsZero() {
    float[] z = {-0f, 0, 2, -0f, 2, 0, 2, -1};
    rules(8)
        .forEach(
            (name, rule) -> {
              if (rule.correctionBias() == null) assertRoutes(name, rule, z);
            });
    assertThat(idsOf(TopKRouter.softmax(5).build(), z)).containsExactly(2, 4, 6, 0, 1);
    assertThat(idsOf(TopKRouter.sigmoid(8).build(), z)).containsExactly(2, 4, 6, 0, 1, 3, 5, 7);
    assertThat(idsOf(TopKRouter.sparsemax().maxExperts(2).build(), z)).containsExactly(2, 4);
    assertThat(idsOf(TopKRouter.softmax(2).groups(4, 1, GroupScore.MAX).build(), z))
        .containsExactly(2, 3);
    assertThat(idsOf(TopKRouter.threshold(Score.HARD_THRESHOLD, 5).build(), z)).containsExactly(2);
  }

  @Test
  void renormalisedTopKIsSoftmaxOverTheChosenLogits() {
    assertRoutes("exact", TopKRouter.softmax(2).build(), new float[] {0, (float) Math.log(3), -5});
    assertThat(routing.routingWeights().slice(0, 2).toFloatArray()).containsExactly(0.75f, 0.25f);
    assertThat(idsOf(TopKRouter.softmax(1).renormalise(false).build(), new float[] {1, 1, 1, 1}))
        .containsExactly(0);
    assertThat(routing.routingWeights().getFloat(0)).as("Switch").isEqualTo(0.25f);
  }

  @Test
  void takesExtremeLogits() {
    float[][] cases = {
      {1e7f, 1e7f - 1, -1e7f, 0, 5, 1e7f, 3, 2},
      {-1e30f, -2e30f, -1e30f, -1e30f, -1e30f, -1e30f, -1e30f, -1e30f},
      {-INFINITY, 1, -INFINITY, 2, 0, -INFINITY, -INFINITY, -INFINITY},
      {0, 0, 0, 0, 0, 0, 0, 0},
      {1e-40f, 2e-40f, 0, 0, 0, 0, 0, -1e-40f},
      {500, -500, 300, 20, 18, 17, 16, 90}
    };
    for (float[] z : cases) {
      rules(8)
          .forEach(
              (name, rule) -> {
                if (rule.score() != Score.SIGMOID)
                  assertRoutes(name + " " + Arrays.toString(z), rule, z);
                else idsOf(rule, z); // in f32 large logits saturate to 1 and tie
              });
    }
    assertThat(idsOf(TopKRouter.sigmoid(3).build(), cases[5]))
        .as("sigmoids of 500, 300, 20, 18, 90 are 1 in f32")
        .containsExactly(0, 2, 3);
  }

  @Test
  void namesTheFirstTokenWhoseLogitsAreRefused() {
    int numTokens = BackendsUnderTest.sized(40, 300);
    for (float wrong : new float[] {Float.NaN, INFINITY}) {
      try (Tensor logits = backend.f32(numTokens, 8)) {
        for (int token : new int[] {numTokens - 1, numTokens * 2 / 5, numTokens / 5}) {
          logits.setFloat(token * 8L + 5, wrong);
          rules(8)
              .forEach(
                  (name, rule) -> {
                    assertThatThrownBy(() -> rule.run(backend, logits, routing))
                        .as(name)
                        .isInstanceOf(InvalidLogitsException.class)
                        .hasMessage(
                            "logits of token "
                                + token
                                + ": expected no NaN and a finite maximum, found otherwise")
                        .satisfies(
                            e -> assertThat(((InvalidLogitsException) e).token()).isEqualTo(token));
                    assertThat(routing.numRows()).isZero();
                  });
        }
      }
    }
    try (Tensor logits = backend.f32(1, 2).fill(-INFINITY)) {
      assertThatThrownBy(() -> TopKRouter.softmax(1).build().run(backend, logits, routing))
          .isInstanceOf(InvalidLogitsException.class);
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    try (Tensor logits = backend.f32(2, 6);
        Tensor none = backend.f32(2, 0);
        Tensor flat = backend.f32(6)) {
      assertRefused(
          "topK must be at most the number of eligible experts, 6, found 7",
          () -> TopKRouter.softmax(7).build().run(backend, logits, routing));
      assertRefused(
          "topK must be at most the number of eligible experts, 2, found 3",
          () ->
              TopKRouter.sigmoid(3)
                  .groups(3, 1, GroupScore.MAX)
                  .build()
                  .run(backend, logits, routing));
      assertRefused(
          "number of experts must be a multiple of the 4 groups, found 6",
          () ->
              TopKRouter.sigmoid(2)
                  .groups(4, 2, GroupScore.MAX)
                  .build()
                  .run(backend, logits, routing));
      assertRefused(
          "logits must have at least 1 expert, found 0",
          () -> TopKRouter.sparsemax().build().run(backend, none, routing));
      assertRefused(
          "logits must be [any, any], found [6]",
          () -> TopKRouter.sparsemax().build().run(backend, flat, routing));
      assertRefused(
          "correctionBias must be [6], found [128]",
          () -> TopKRouter.sigmoid(2).correctionBias(bias).build().run(backend, logits, routing));
      routing.close();
      assertThatThrownBy(() -> TopKRouter.softmax(1).build().run(backend, logits, routing))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("routing is closed");
    }
    assertRefused("topK must be at least 1, found 0", () -> TopKRouter.softmax(0));
    assertRefused(
        "topKGroups must lie in [1, 4], found 5",
        () -> TopKRouter.sigmoid(1).groups(4, 5, GroupScore.MAX));
    assertRefused("topP must lie in (0, 1], found 1.5", () -> TopKRouter.softmax(1).topP(1.5f));
    assertRefused("topP must not be set for SIGMOID", () -> TopKRouter.sigmoid(1).topP(0.5f));
    assertRefused(
        "maxExperts must not be set for SOFTMAX", () -> TopKRouter.softmax(1).maxExperts(2));
    assertRefused(
        "threshold must be finite and not negative, found -1.0",
        () -> TopKRouter.threshold(Score.HARD_THRESHOLD, -1));
    assertRefused(
        "score must be HARD_THRESHOLD or SHIFTED_THRESHOLD, found SOFTMAX",
        () -> TopKRouter.threshold(Score.SOFTMAX, 1));
    assertRefused(
        "scalingFactor must be finite, found NaN",
        () -> TopKRouter.softmax(1).scalingFactor(Float.NaN));
    assertRefused(
        "minExperts must be at least 1, found 0", () -> TopKRouter.softmax(1).minExperts(0));
    assertRefused(
        "topP and minP must not be combined with correctionBias or groups: choices would not be in"
            + " descending order of probability",
        () -> TopKRouter.softmax(1).topP(0.5f).correctionBias(bias).build());
    bias.setFloat(3, Float.NaN);
    assertRefused(
        "correctionBias must be finite, found NaN",
        () -> TopKRouter.sigmoid(1).correctionBias(bias));
  }

  @Test
  void takesAnEmptyBatch() {
    try (Tensor logits = backend.f32(0, 6)) {
      TopKRouter.softmax(2).build().run(backend, logits, routing);
      assertThat(routing.numTokens()).isZero();
      assertThat(routing.numRows()).isZero();
    }
  }

  private static void assertRefused(
      String message, org.assertj.core.api.ThrowableAssert.ThrowingCallable call) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  private int[] idsOf(TopKRouter rule, float[] z) {
    try (Tensor logits = backend.of(z, 1, z.length)) {
      rule.run(backend, logits, routing);
      return routing.expertIds().slice(0, routing.numRows()).toIntArray();
    }
  }

  private void assertRoutes(String name, TopKRouter rule, float[] z) {
    idsOf(rule, z);
    assertToken(
        name,
        0,
        routing.tokenOffsets().toIntArray(),
        routing.expertIds().toIntArray(),
        routing.routingWeights().toFloatArray(),
        ExactRouting.of(rule, z));
  }

  private void assertToken(
      String name, int token, int[] offsets, int[] chosen, float[] weights, ExactRouting exact) {
    int begin = offsets[token];
    List<Integer> ids =
        Arrays.stream(Arrays.copyOfRange(chosen, begin, offsets[token + 1])).boxed().toList();
    assertThat(ids).as(name).isEqualTo(exact.experts());
    for (int i = 0; i < ids.size(); i++) {
      double expected = exact.weights().get(i);
      // sigmoid: s is f32, then a sum of such, then the result: three roundings. The rest is f64
      // but for the last.
      double bound = 3.01 * 0x1p-24 * Math.abs(expected) + Float.MIN_VALUE;
      assertThat(Math.abs(weights[begin + i] - expected))
          .as("%s, slot %d, weight %s", name, i, expected)
          .isLessThanOrEqualTo(bound);
    }
  }

  private static float[] logits(Random random, int size) {
    float[] z = new float[size];
    for (int i = 0; i < size; i++) z[i] = (float) random.nextGaussian();
    return z;
  }
}
