package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.winnow.ContextLengthException;
import org.winnow.Tensor;
import org.winnow.models.TokenLogprobs.Candidate;

/** What each option does to a generation. */
class GenerateOptionsTest {
  private static final int[] PROMPT = {0, 48, 300, 48};
  private static final GenerateOptions GREEDY = GenerateOptions.greedy(24).withStopIds(Set.of());
  private static LanguageModel model;

  @BeforeAll
  static void open() {
    model = LanguageModel.open(Goldens.kjvMoe(), LoadOptions.defaults());
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static float[] logits(int[] sequence) {
    float[][] row = new float[1][];
    model.forward(
        sequence,
        sequence.length - 1,
        (ForwardLogits) (position, logits) -> row[0] = logits.toFloatArray());
    return row[0];
  }

  /** A listener for logits alone. */
  private interface ForwardLogits extends ForwardListener {
    @Override
    void onLogits(int firstPosition, Tensor logits);
  }

  private static int[] join(int[] prompt, int[] ids, int count) {
    return IntStream.concat(Arrays.stream(prompt), Arrays.stream(ids, 0, count)).toArray();
  }

  @Test
  void logprobsAreThoseOfTheModelsDistribution() {
    List<GeneratedToken> tokens = new ArrayList<>();
    GenerateOptions options =
        GenerateOptions.sampling(6, 1.7, 3)
            .withStopIds(Set.of())
            .withTopK(40)
            .withRepetitionPenalty(1.5)
            .withLogprobs(3);
    int[] ids = model.generate(PROMPT, options, TokenListener.ofTokens(tokens::add)).ids();
    assertThat(tokens).extracting(GeneratedToken::id).containsExactly(boxed(ids));
    for (int i = 0; i < ids.length; i++) {
      float[] logits = logits(join(PROMPT, ids, i));
      double sum = 0;
      for (float logit : logits) sum += Math.exp(logit);
      double log = Math.log(sum);
      TokenLogprobs found = tokens.get(i).logprobs();
      assertThat(found.logprob()).isCloseTo(logits[ids[i]] - log, within(1e-9));
      int[] order =
          IntStream.range(0, logits.length)
              .boxed()
              .sorted((a, b) -> Float.compare(logits[b], logits[a]))
              .mapToInt(id -> id)
              .toArray();
      for (int rank = 0; rank < 3; rank++) {
        Candidate candidate = found.top().get(rank);
        assertThat(candidate.id()).isEqualTo(order[rank]);
        assertThat(candidate.logprob()).isCloseTo(logits[order[rank]] - log, within(1e-9));
      }
      assertThat(found.top()).hasSize(3);
    }
  }

  @Test
  void logprobsAreComputedOnlyWhenAskedFor() {
    List<GeneratedToken> tokens = new ArrayList<>();
    model.generate(PROMPT, GREEDY, TokenListener.ofTokens(tokens::add));
    assertThat(tokens).hasSize(24).allMatch(token -> token.logprobs() == null);
    tokens.clear();
    model.generate(PROMPT, GREEDY.withLogprobs(0), TokenListener.ofTokens(tokens::add));
    assertThat(tokens)
        .allMatch(token -> token.logprobs().top().isEmpty() && token.logprobs().logprob() < 0);
  }

  @Test
  void ofEquallyProbableTokensTheSmallerIdComesFirst() {
    float none = Float.NEGATIVE_INFINITY;
    TokenLogprobs found = TokenLogprobs.of(new float[] {none, 0f, 2, -0f, 2, 0f, none}, 4, 4);
    assertThat(found.top()).extracting(Candidate::id).containsExactly(2, 4, 1, 3);
    assertThat(TokenLogprobs.of(new float[] {none, 5, none}, 1, 9).top())
        .containsExactly(new Candidate(1, 0));
    found = TokenLogprobs.of(new float[] {300, 300}, 0, 0); // e^300 would be infinite as f32
    assertThat(found.logprob()).isCloseTo(-Math.log(2), within(1e-12));
    assertThat(found.top()).isEmpty();
  }

  /** Greedy with a penalty, against one's own arithmetic on the model's logits. */
  @Test
  void aRepetitionPenaltyCountsThePromptAndTheNewTokens() {
    GenerateOptions options = GREEDY.withMaxTokens(12).withRepetitionPenalty(1.8);
    int[] ids = model.generate(PROMPT, options, TokenListener.NONE).ids();
    for (int i = 0; i < ids.length; i++)
      assertThat(ids[i]).as("token " + i).isEqualTo(penalised(join(PROMPT, ids, i)));
    assertThat(ids).isNotEqualTo(model.generate(PROMPT, GREEDY, TokenListener.NONE).ids());
    try (Session session = model.newSession()) { // also over several calls
      int[] first = session.generate(PROMPT, GREEDY.withMaxTokens(5), TokenListener.NONE).ids();
      int[] before = join(PROMPT, first, 5);
      int[] second =
          session.generate(new int[] {77}, options.withMaxTokens(2), TokenListener.NONE).ids();
      int[] whole = join(before, new int[] {77}, 1);
      assertThat(second[0]).isEqualTo(penalised(whole));
      assertThat(second[1]).isEqualTo(penalised(join(whole, second, 1)));
    }
  }

  private static int penalised(int[] sequence) {
    float[] logits = logits(sequence);
    Set<Integer> seen = new HashSet<>(List.of(boxed(sequence)));
    for (int id : seen) logits[id] = logits[id] < 0 ? logits[id] * 1.8f : logits[id] / 1.8f;
    int best = 0;
    for (int id = 0; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
    return best;
  }

  private static Integer[] boxed(int[] ids) {
    return Arrays.stream(ids).boxed().toArray(Integer[]::new);
  }

  /** Stop texts are random parts of the text that the model makes without them. */
  @Test
  void theTextEndsBeforeAStopText() {
    GenerationResult whole = model.generate(PROMPT, GREEDY, TokenListener.NONE);
    String text = whole.text();
    Random random = new Random(3);
    for (int round = 0; round < 40; round++) {
      int begin = random.nextInt(text.length() - 8);
      String stop = text.substring(begin, begin + 1 + random.nextInt(8));
      int end = text.indexOf(stop);
      List<GeneratedToken> tokens = new ArrayList<>();
      GenerationResult result =
          model.generate(
              PROMPT,
              GREEDY.withStopTexts(List.of("never in it", stop)),
              TokenListener.ofTokens(tokens::add));
      assertThat(result.text()).isEqualTo(text.substring(0, end));
      assertThat(result.finishReason()).isEqualTo(FinishReason.STOP);
      assertThat(text(tokens)).isEqualTo(result.text());
      assertThat(tokens).extracting(GeneratedToken::id).containsExactly(boxed(result.ids()));
      // the last token completes the stop text
      int numIds = result.ids().length;
      int[] ids = Arrays.copyOf(whole.ids(), numIds);
      assertThat(result.ids()).isEqualTo(ids);
      assertThat(model.tokenizer().decode(ids, true)).contains(stop);
      assertThat(model.tokenizer().decode(Arrays.copyOf(ids, numIds - 1), true))
          .doesNotContain(stop);
    }
  }

  @Test
  void textThatOnlyBeginsAStopTextIsShownAtTheEnd() {
    GenerationResult whole = model.generate(PROMPT, GREEDY, TokenListener.NONE);
    String text = whole.text();
    List<GeneratedToken> tokens = new ArrayList<>();
    GenerateOptions options =
        GREEDY.withStopTexts(List.of(text.substring(text.length() - 9) + "?!"));
    GenerationResult result = model.generate(PROMPT, options, TokenListener.ofTokens(tokens::add));
    assertThat(result.text()).isEqualTo(text);
    assertThat(result.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(text(tokens)).isEqualTo(text);
    assertThat(tokens).hasSize(24);
  }

  private static String text(List<GeneratedToken> tokens) {
    StringBuilder text = new StringBuilder();
    tokens.forEach(token -> text.append(token.text()));
    return text.toString();
  }

  @Test
  void stopTextsNeedATokenizer() {
    try (LanguageModel llama =
        LanguageModel.open(Goldens.folder("llama"), LoadOptions.defaults())) {
      assertThatThrownBy(
              () ->
                  llama.generate(
                      new int[] {1}, GREEDY.withStopTexts(List.of("a")), TokenListener.NONE))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("stopTexts need a tokenizer: the model has no tokenizer.json");
    }
  }

  @Test
  void theContextIsFilledAndNoMore() {
    int limit = model.config().contextLength();
    int[] prompt = new int[limit - 3];
    GenerateOptions fill = GREEDY.withMaxTokens(GenerateOptions.FILL_CONTEXT);
    try (Session session = model.newSession()) {
      GenerationResult result = session.generate(prompt, fill, TokenListener.NONE);
      assertThat(result.ids()).hasSize(3);
      assertThat(result.finishReason()).isEqualTo(FinishReason.LENGTH);
      assertThatThrownBy(() -> session.generate(new int[0], fill, TokenListener.NONE))
          .isInstanceOf(ContextLengthException.class);
    }
    assertThatThrownBy(() -> model.generate(new int[limit + 1], fill, TokenListener.NONE))
        .isInstanceOf(ContextLengthException.class);
  }

  @Test
  void optionsOutOfRangeAreNamed() {
    assertThatThrownBy(() -> GREEDY.withLogprobs(-2))
        .hasMessage("logprobs must be -1 or more, found -2");
    assertThatThrownBy(() -> GREEDY.withStopTexts(List.of("a", "")))
        .hasMessage("stopTexts must not hold an empty text, found [a, ]");
    assertThatThrownBy(() -> GREEDY.withMaxTokens(-1))
        .hasMessage("maxTokens must not be negative, found -1");
    assertThatThrownBy(() -> GREEDY.withMinP(-0.1))
        .hasMessage("minP must lie in [0, 1], found -0.1");
  }
}
