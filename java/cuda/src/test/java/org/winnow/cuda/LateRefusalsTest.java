package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.winnow.CapturedStep;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;
import org.winnow.op.Embedding;
import org.winnow.op.ExpertPlan;
import org.winnow.op.Routing;
import org.winnow.op.Sampler;
import org.winnow.op.TopKRouter;

/** What nobody waited for is reported once, at the next sampled token, and changes nothing else. */
class LateRefusalsTest {
  private static final int NUM_EXPERTS = 8;

  /** More pairs, and more token ids, than one block checks on the way. */
  private static final int MANY = 2100;

  private final CudaBackend backend = new CudaBackend();
  private final Tensor logits = backend.of(new float[] {1, 3, 2}, 3);
  private final Routing routing = new Routing(backend.memory());
  private final ExpertPlan plan = new ExpertPlan(backend.memory());

  @AfterEach
  void close() {
    backend.close();
  }

  /** A plan of the router's choices for fewer experts than it chose from. */
  @Test
  void aRefusedPlanOfARouterDoesNotStopThoseAfterIt() {
    route(MANY);
    plan.build(backend, routing, NUM_EXPERTS / 2);
    plan.build(backend, routing, NUM_EXPERTS);
    assertPlanned(MANY);
    setChoices(expertOf(3), 3); // the next that is waited for is not blamed
    plan.build(backend, routing, NUM_EXPERTS);
    assertReportedOnce(
        "expertIds of a plan that was not waited for must lie below its numExperts, found one"
            + " outside at pair "
            + NUM_EXPERTS / 2);
  }

  @Test
  void aCapturedPlanOfChoicesMadeElsewhereIsReported() {
    for (int pairs : new int[] {3, MANY}) {
      setChoices(expertOf(pairs), pairs);
      plan.build(backend, routing, NUM_EXPERTS);
      try (CapturedStep step = backend.capture(() -> plan.build(backend, routing, NUM_EXPERTS))) {
        int[] wrong = expertOf(pairs);
        wrong[pairs - 1] = NUM_EXPERTS;
        setChoices(wrong, pairs);
        step.run();
        setChoices(expertOf(pairs), pairs);
        step.run();
        assertPlanned(pairs);
        assertReportedOnce(
            "expertIds of a plan that was not waited for must lie below its numExperts, found one"
                + " outside at pair "
                + (pairs - 1));
      }
    }
  }

  @Test
  void aCapturedEmbeddingThatWasRefusedDoesNotStopThoseAfterIt() {
    int[] ids = IntStream.range(0, MANY).map(i -> i % 5).toArray();
    int[] wrong = ids.clone();
    wrong[7] = 5;
    float[] rows = new float[MANY];
    for (int i = 0; i < MANY; i++) rows[i] = 10 * ids[i];
    try (Tensor table = backend.of(new float[] {0, 10, 20, 30, 40}, 5, 1);
        Tensor tokenIds = backend.of(ids, MANY);
        Tensor output = backend.f32(MANY, 1)) {
      Embedding.run(backend, table, tokenIds, output);
      try (CapturedStep step =
          backend.capture(() -> Embedding.run(backend, table, tokenIds, output))) {
        tokenIds.copyFrom(wrong);
        output.fill(-1);
        step.run();
        assertThat(output.toFloatArray()).containsOnly(-1);
        tokenIds.copyFrom(ids);
        step.run();
        assertThat(output.toFloatArray()).isEqualTo(rows);
        output.fill(-1);
        Embedding.run(backend, table, tokenIds, output);
        assertThat(output.toFloatArray()).isEqualTo(rows);
        assertReportedOnce(
            "tokenIds of a captured step must lie in the table, found one outside at index 7");
      }
    }
  }

  @Test
  void allThatWasRefusedIsForgottenOnceOneIsReported() {
    TopKRouter router = TopKRouter.softmax(1).build();
    float[] good = {1, 2, 3, 4};
    try (Tensor table = backend.of(new float[] {0, 10}, 2, 1);
        Tensor tokenIds = backend.of(new int[] {1}, 1);
        Tensor output = backend.f32(1, 1);
        Tensor scores = backend.of(good, 1, 4)) {
      Runnable operations =
          () -> {
            Embedding.run(backend, table, tokenIds, output);
            router.run(backend, scores, routing);
          };
      operations.run();
      try (CapturedStep step = backend.capture(operations)) {
        tokenIds.copyFrom(new int[] {2});
        scores.setFloat(0, Float.NaN);
        step.run();
        scores.copyFrom(good);
        router.run(backend, scores, routing); // is waited for, and valid
        assertReportedOnce(
            "tokenIds of a captured step must lie in the table, found one outside at index 0");
        tokenIds.copyFrom(new int[] {1});
        scores.setFloat(0, Float.NaN);
        step.run();
        assertThatThrownBy(() -> Sampler.greedy().sample(backend, logits))
            .isInstanceOf(InvalidLogitsException.class);
        assertThat(Sampler.greedy().sample(backend, logits)).isEqualTo(1);
      }
    }
  }

  private void assertReportedOnce(String message) {
    assertThatThrownBy(() -> Sampler.greedy().sample(backend, logits))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
    assertThat(Sampler.greedy().sample(backend, logits)).isEqualTo(1);
  }

  /** As {@link #setChoices} of {@link #expertOf}, by the router. */
  private void route(int numTokens) {
    float[] scores = new float[numTokens * NUM_EXPERTS];
    for (int t = 0; t < numTokens; t++) scores[t * NUM_EXPERTS + t % NUM_EXPERTS] = 1;
    try (Tensor tensor = backend.of(scores, numTokens, NUM_EXPERTS)) {
      TopKRouter.softmax(1).build().run(backend, tensor, routing);
    }
  }

  private static int[] expertOf(int numTokens) {
    return IntStream.range(0, numTokens).map(t -> t % NUM_EXPERTS).toArray();
  }

  /** One expert per token. */
  private void setChoices(int[] experts, int numTokens) {
    float[] weights = new float[numTokens];
    Arrays.fill(weights, 1);
    routing.set(IntStream.rangeClosed(0, numTokens).toArray(), experts, weights);
  }

  private void assertPlanned(int numTokens) {
    int[] rows = plan.sourceRows().slice(0, numTokens).toIntArray();
    int[] expected =
        IntStream.range(0, NUM_EXPERTS)
            .flatMap(e -> IntStream.range(0, numTokens).filter(t -> t % NUM_EXPERTS == e))
            .toArray();
    assertThat(rows).isEqualTo(expected);
  }
}
