package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.Reader;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.ContextLengthException;
import org.winnow.DType;
import org.winnow.Tensor;

@Timeout(120)
class LanguageModelTest {
  private static final String PROMPT = "<|endoftext|>And Moses said unto the king,";
  private static final GenerateOptions GREEDY = GenerateOptions.greedy(24).withStopIds(Set.of());

  private final ExecutorService threads = Executors.newCachedThreadPool();
  private LanguageModel model;

  @BeforeEach
  void open() {
    model =
        LanguageModel.open(
            Goldens.kjvMoe(), LoadOptions.defaults().withBudget(ExpertBudget.ofShare(0.25)));
  }

  @AfterEach
  void close() {
    threads.shutdownNow();
    model.close();
  }

  @Test
  void tokensAndTextArriveAsTheyAreMade() {
    List<Integer> ids = new ArrayList<>();
    StringBuilder text = new StringBuilder();
    GenerationResult result =
        model.generate(
            PROMPT,
            GREEDY,
            (id, piece) -> {
              ids.add(id);
              text.append(piece);
            });
    assertThat(ids).hasSize(24);
    assertThat(result.ids()).isEqualTo(ids.stream().mapToInt(id -> id).toArray());
    assertThat(text.toString()).isEqualTo(result.text());
    assertThat(result.text()).isEqualTo(model.tokenizer().decode(result.ids(), true));
    assertThat(result.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(result.promptTokens()).isEqualTo(model.tokenizer().encode(PROMPT, true).length);
    assertThat(result.prefillNanos()).isGreaterThan(0);
    assertThat(result.decodeNanos()).isGreaterThan(0);
    assertThat(result.decodeTokensPerSecond()).isGreaterThan(0);
    assertThat(result.prefillTokensPerSecond()).isGreaterThan(0);
    assertThat(result.experts().misses()).isGreaterThan(0);
    assertThat(result.experts().demandBytesRead()).isGreaterThan(0);
  }

  @Test
  void aStopIdEndsTheTextAndIsNotPartOfIt() {
    int[] ids = model.generate(PROMPT, GREEDY, TokenListener.NONE).ids();
    int position = 0;
    while (contains(ids, position, ids[position + 4]))
      position++; // chooses a token with a known first occurrence
    int stop = ids[position + 4];
    int first = 0;
    while (ids[first] != stop) first++;
    GenerationResult result =
        model.generate(PROMPT, GREEDY.withStopIds(Set.of(stop)), TokenListener.NONE);
    assertThat(result.finishReason()).isEqualTo(FinishReason.STOP);
    assertThat(result.ids()).isEqualTo(Arrays.copyOf(ids, first));
  }

  private static boolean contains(int[] ids, int length, int id) {
    for (int i = 0; i < length; i++) if (ids[i] == id) return true;
    return false;
  }

  @Test
  void theModelsOwnStopIdsAreTheDefault() {
    assertThat(model.config().stopTokens()).isEqualTo(List.of(0));
    // samples until <|endoftext|>, or until the context is nearly full
    GenerationResult result =
        model.generate(PROMPT, GenerateOptions.sampling(900, 0.8, 3), TokenListener.NONE);
    assertThat(result.ids()).doesNotContain(0);
    boolean stopped = result.finishReason() == FinishReason.STOP;
    assertThat(stopped || result.ids().length == 900).isTrue();
  }

  @Test
  void namesBothNumbersWhereTheContextIsTooShort() {
    int[] prompt = new int[1000];
    assertThatThrownBy(() -> model.generate(prompt, GenerateOptions.greedy(25), TokenListener.NONE))
        .hasMessage("sequence must hold at most 1024 tokens, found 1025")
        .isInstanceOfSatisfying(
            ContextLengthException.class,
            e -> {
              assertThat(e.contextLimit()).isEqualTo(1024);
              assertThat(e.requested()).isEqualTo(1025);
            });
    assertThat(model.generate(prompt, GREEDY, TokenListener.NONE).ids()).hasSize(24);
    assertThatThrownBy(() -> model.forward(new int[1025], 0, ForwardListener.NONE))
        .isInstanceOf(ContextLengthException.class);
  }

  /** Both with and without a place to cut; the text never ends. */
  @ParameterizedTest
  @ValueSource(strings = {"and ", "a"})
  void readsNoMoreOfAPromptThanCanFit(String words) {
    Reader endless =
        new Reader() {
          @Override
          public int read(char[] target, int offset, int length) {
            for (int i = 0; i < length; i++) target[offset + i] = words.charAt(i % words.length());
            return length;
          }

          @Override
          public void close() {}
        };
    assertThatThrownBy(() -> model.encodePrompt(endless))
        .isInstanceOf(ContextLengthException.class)
        .hasMessageMatching("sequence must hold at most 1024 tokens, found at least [0-9]+");
  }

  @Test
  void readsAPromptAsTheTextItIs() throws IOException {
    assertThat(model.encodePrompt(new StringReader(PROMPT))).isEqualTo(model.encodePrompt(PROMPT));
  }

  @Test
  void refusesMoreLogProbabilitiesThanThereAreTokens() {
    GenerateOptions all = GenerateOptions.greedy(1).withLogprobs(2048);
    assertThat(model.generate(PROMPT, all, TokenListener.NONE).ids()).hasSize(1);
    assertThatThrownBy(() -> model.generate(PROMPT, all.withLogprobs(2049), TokenListener.NONE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("logprobs must be at most the vocabulary of 2048, found 2049");
  }

  @Test
  void refusesIdsThatAreNotInTheVocabularyAndEmptyPrompts() {
    assertThatThrownBy(() -> model.generate(new int[] {1, 2048}, GREEDY, TokenListener.NONE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("prompt must hold ids in [0, 2048), found 2048 at 1");
    assertThatThrownBy(() -> model.generate(new int[] {-1}, GREEDY, TokenListener.NONE))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> model.generate(new int[0], GREEDY, TokenListener.NONE))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> model.forward(new int[0], 0, ForwardListener.NONE))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> model.forward(new int[] {2048}, 0, ForwardListener.NONE))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void noTokensAtAll() {
    GenerationResult result = model.generate(PROMPT, GenerateOptions.greedy(0), TokenListener.NONE);
    assertThat(result.ids()).isEmpty();
    assertThat(result.finishReason()).isEqualTo(FinishReason.LENGTH);
  }

  @Test
  void cancelledFromAnotherThread() throws Exception {
    Cancellation cancellation = new Cancellation();
    CountDownLatch running = new CountDownLatch(3);
    GenerateOptions options =
        GenerateOptions.greedy(900).withStopIds(Set.of()).withCancellation(cancellation);
    Future<GenerationResult> result =
        threads.submit(() -> model.generate(PROMPT, options, leisurely(running)));
    assertThat(running.await(60, TimeUnit.SECONDS)).isTrue();
    cancellation.cancel();
    assertThat(result.get().finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(result.get().ids()).hasSizeBetween(3, 899);
    assertThat(model.generate(PROMPT, options, TokenListener.NONE).ids())
        .as("cancelled before it began")
        .isEmpty();
  }

  /**
   * Counts tokens and waits at each one. A generation of 900 tokens takes seconds, so it can be
   * stopped before its end.
   */
  private static TokenListener leisurely(CountDownLatch running) {
    return (id, text) -> {
      running.countDown();
      LockSupport.parkNanos(20_000_000);
    };
  }

  @Test
  void anInterruptCancelsAndStaysSet() throws Exception {
    Future<Boolean> interrupted =
        threads.submit(
            () -> {
              GenerationResult result =
                  model.generate(PROMPT, GREEDY, (id, text) -> Thread.currentThread().interrupt());
              assertThat(result.finishReason()).isEqualTo(FinishReason.CANCELLED);
              assertThat(result.ids()).hasSize(1);
              return Thread.interrupted();
            });
    assertThat(interrupted.get()).isTrue();
  }

  @Test
  void aListenerThatThrowsLeavesTheModelUsable() {
    int[] expected = model.generate(PROMPT, GREEDY, TokenListener.NONE).ids();
    UnsupportedOperationException thrown = new UnsupportedOperationException("enough");
    assertThatThrownBy(
            () ->
                model.generate(
                    PROMPT,
                    GREEDY,
                    (id, text) -> {
                      throw thrown;
                    }))
        .isSameAs(thrown);
    assertThat(model.generate(PROMPT, GREEDY, TokenListener.NONE).ids()).isEqualTo(expected);
  }

  @Test
  void twoThreadsOnOneModelBothGetTheRightAnswer() throws Exception {
    String[] prompts = {PROMPT, "<|endoftext|>Emma, chapter 56\n"};
    int[][] alone = new int[2][];
    for (int i = 0; i < 2; i++)
      alone[i] = model.generate(prompts[i], GREEDY, TokenListener.NONE).ids();
    List<Future<int[]>> together = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      String prompt = prompts[i % 2];
      together.add(threads.submit(() -> model.generate(prompt, GREEDY, TokenListener.NONE).ids()));
    }
    for (int i = 0; i < 6; i++) assertThat(together.get(i).get()).isEqualTo(alone[i % 2]);
  }

  @Test
  void aSessionGoesOnWithoutComputingItsBeginningAgain() {
    int[] expected = model.generate(PROMPT, GREEDY, TokenListener.NONE).ids();
    try (Session session = model.newSession()) {
      int[] first =
          session
              .generate(
                  PROMPT, GenerateOptions.greedy(10).withStopIds(Set.of()), TokenListener.NONE)
              .ids();
      GenerationResult second =
          session.generate(
              new int[0], GenerateOptions.greedy(14).withStopIds(Set.of()), TokenListener.NONE);
      assertThat(second.promptTokens()).as("only the last token is computed again").isEqualTo(1);
      assertThat(first).isEqualTo(Arrays.copyOf(expected, 10));
      assertThat(second.ids()).isEqualTo(Arrays.copyOfRange(expected, 10, 24));
      assertThat(session.numTokens()).isEqualTo(model.tokenizer().encode(PROMPT, true).length + 24);
    }
  }

  @Test
  void aSessionGoesOnAfterAStop() {
    int[] expected = model.generate(PROMPT, GREEDY, TokenListener.NONE).ids();
    try (Session session = model.newSession()) {
      GenerationResult stopped =
          session.generate(PROMPT, GREEDY.withStopIds(Set.of(expected[0])), TokenListener.NONE);
      assertThat(stopped.ids()).isEmpty();
      assertThat(session.generate(new int[0], GREEDY, TokenListener.NONE).ids())
          .isEqualTo(expected);
    }
  }

  @Test
  void closingEndsWhatRunsAndWaitsForIt() throws Exception {
    CountDownLatch running = new CountDownLatch(2);
    GenerateOptions options = GenerateOptions.greedy(900).withStopIds(Set.of());
    Future<GenerationResult> result =
        threads.submit(() -> model.generate(PROMPT, options, leisurely(running)));
    assertThat(running.await(60, TimeUnit.SECONDS)).isTrue();
    model.close();
    assertThat(result.get().finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(result.get().ids()).hasSizeLessThan(900);
    model.close();
  }

  @Test
  void useAfterCloseIsRefused() {
    Session session = model.newSession();
    model.close();
    assertThatThrownBy(() -> model.generate(new int[] {1}, GREEDY, TokenListener.NONE))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("model is closed");
    assertThatThrownBy(() -> model.generate(PROMPT, GREEDY, TokenListener.NONE))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("model is closed");
    assertThatThrownBy(() -> model.forward(new int[] {1}, 0, ForwardListener.NONE))
        .isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(model::newSession).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> session.generate(new int[] {1}, GREEDY, TokenListener.NONE))
        .isInstanceOf(IllegalStateException.class);
    session.close();
    session.close();
  }

  @Test
  void closingFromInsideAListenerIsRefused() {
    assertThatThrownBy(() -> model.generate(PROMPT, GREEDY, (id, text) -> model.close()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("close() called from inside a generation");
    assertThat(model.generate(PROMPT, GREEDY, TokenListener.NONE).ids()).hasSize(24);
  }

  @Test
  void aStepFromInsideAForwardListenerIsRefused() {
    assertThatThrownBy(
            () ->
                model.forward(
                    new int[] {1},
                    0,
                    new ForwardListener() {
                      @Override
                      public void onHidden(int layer, int firstPosition, Tensor hidden) {
                        model.generate(new int[] {1}, GREEDY, TokenListener.NONE);
                      }
                    }))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void aModelWithoutTokenizerTakesIds() throws ExecutionException {
    try (LanguageModel llama =
        LanguageModel.open(Goldens.folder("llama"), LoadOptions.defaults())) {
      assertThat(llama.tokenizer()).isNull();
      assertThat(llama.expertCounters()).isNull();
      GenerationResult result =
          llama.generate(new int[] {3, 17}, GREEDY, (id, text) -> assertThat(text).isEmpty());
      assertThat(result.text()).isEmpty();
      assertThat(result.ids()).hasSize(24);
      assertThat(result.experts()).isNull();
      assertThatThrownBy(() -> llama.generate("text", GREEDY, TokenListener.NONE))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void optionsOutOfRangeAreRefused() {
    assertThatThrownBy(() -> GenerateOptions.greedy(-1))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> GenerateOptions.sampling(1, -0.1, 0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> GenerateOptions.sampling(1, Double.NaN, 0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> GREEDY.withTopK(-1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> GREEDY.withTopP(0)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> GREEDY.withTopP(1.1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> LoadOptions.defaults().withThreads(-1))
        .isInstanceOf(IllegalArgumentException.class);
    for (DType type : DType.values()) {
      if (type == DType.F32 || type == DType.BF16) continue;
      assertThatThrownBy(() -> LoadOptions.defaults().withActivations(type))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("activations must be f32 or bf16, found " + type);
    }
    assertThatThrownBy(() -> LoadOptions.defaults().withThreads(1025))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
