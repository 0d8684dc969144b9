package org.winnow.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
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
import org.winnow.ContextLengthException;

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
    assertEquals(24, ids.size());
    assertArrayEquals(ids.stream().mapToInt(id -> id).toArray(), result.ids());
    assertEquals(result.text(), text.toString());
    assertEquals(model.tokenizer().decode(result.ids(), true), result.text());
    assertEquals(FinishReason.LENGTH, result.finishReason());
    assertEquals(model.tokenizer().encode(PROMPT, true).length, result.promptTokens());
    assertTrue(
        result.prefillNanos() > 0
            && result.decodeNanos() > 0
            && result.decodeTokensPerSecond() > 0
            && result.prefillTokensPerSecond() > 0);
    assertTrue(result.experts().misses() > 0 && result.experts().demandBytesRead() > 0);
  }

  @Test
  void aStopIdEndsTheTextAndIsNotPartOfIt() {
    int[] ids = model.generate(PROMPT, GREEDY, TokenListener.NONE).ids();
    int position = 0;
    while (contains(ids, position, ids[position + 4]))
      position++; // a token whose first occurrence is known
    int stop = ids[position + 4];
    int first = 0;
    while (ids[first] != stop) first++;
    GenerationResult result =
        model.generate(PROMPT, GREEDY.withStopIds(Set.of(stop)), TokenListener.NONE);
    assertEquals(FinishReason.STOP, result.finishReason());
    assertArrayEquals(java.util.Arrays.copyOf(ids, first), result.ids());
  }

  private static boolean contains(int[] ids, int length, int id) {
    for (int i = 0; i < length; i++) if (ids[i] == id) return true;
    return false;
  }

  @Test
  void theModelsOwnStopIdsAreTheDefault() {
    assertEquals(List.of(0), model.config().stopTokens());
    // greedy from the end of a document's last words until <|endoftext|>, at most the context
    GenerationResult result =
        model.generate(PROMPT, GenerateOptions.sampling(900, 0.8, 3), TokenListener.NONE);
    for (int id : result.ids()) assertTrue(id != 0);
    assertTrue(result.finishReason() == FinishReason.STOP || result.ids().length == 900);
  }

  @Test
  void namesBothNumbersWhereTheContextIsTooShort() {
    int[] prompt = new int[1000];
    ContextLengthException e =
        assertThrows(
            ContextLengthException.class,
            () -> model.generate(prompt, GenerateOptions.greedy(25), TokenListener.NONE));
    assertEquals(1024, e.contextLimit());
    assertEquals(1025, e.requested());
    assertEquals("sequence must hold at most 1024 tokens, found 1025", e.getMessage());
    assertEquals(24, model.generate(prompt, GREEDY, TokenListener.NONE).ids().length);
    assertThrows(
        ContextLengthException.class, () -> model.forward(new int[1025], 0, ForwardListener.NONE));
  }

  @Test
  void refusesIdsThatAreNotInTheVocabularyAndEmptyPrompts() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> model.generate(new int[] {1, 2048}, GREEDY, TokenListener.NONE));
    assertEquals("prompt must hold ids in [0, 2048), found 2048 at 1", e.getMessage());
    assertThrows(
        IllegalArgumentException.class,
        () -> model.generate(new int[] {-1}, GREEDY, TokenListener.NONE));
    assertThrows(
        IllegalArgumentException.class,
        () -> model.generate(new int[0], GREEDY, TokenListener.NONE));
    assertThrows(
        IllegalArgumentException.class, () -> model.forward(new int[0], 0, ForwardListener.NONE));
    assertThrows(
        IllegalArgumentException.class,
        () -> model.forward(new int[] {2048}, 0, ForwardListener.NONE));
  }

  @Test
  void noTokensAtAll() {
    GenerationResult result = model.generate(PROMPT, GenerateOptions.greedy(0), TokenListener.NONE);
    assertEquals(0, result.ids().length);
    assertEquals(FinishReason.LENGTH, result.finishReason());
  }

  @Test
  void cancelledFromAnotherThread() throws Exception {
    Cancellation cancellation = new Cancellation();
    CountDownLatch running = new CountDownLatch(3);
    GenerateOptions options =
        GenerateOptions.greedy(900).withStopIds(Set.of()).withCancellation(cancellation);
    Future<GenerationResult> result =
        threads.submit(() -> model.generate(PROMPT, options, leisurely(running)));
    assertTrue(running.await(60, TimeUnit.SECONDS));
    cancellation.cancel();
    assertEquals(FinishReason.CANCELLED, result.get().finishReason());
    assertTrue(result.get().ids().length >= 3 && result.get().ids().length < 900);
    assertEquals(
        0,
        model.generate(PROMPT, options, TokenListener.NONE).ids().length,
        "cancelled before it began");
  }

  /** Counts tokens, and takes seconds for hundreds: whoever stops it comes before its end. */
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
              assertEquals(FinishReason.CANCELLED, result.finishReason());
              assertEquals(1, result.ids().length);
              return Thread.interrupted();
            });
    assertTrue(interrupted.get());
  }

  @Test
  void aListenerThatThrowsLeavesTheModelUsable() {
    int[] expected = model.generate(PROMPT, GREEDY, TokenListener.NONE).ids();
    UnsupportedOperationException thrown = new UnsupportedOperationException("enough");
    assertEquals(
        thrown,
        assertThrows(
            UnsupportedOperationException.class,
            () ->
                model.generate(
                    PROMPT,
                    GREEDY,
                    (id, text) -> {
                      throw thrown;
                    })));
    assertArrayEquals(expected, model.generate(PROMPT, GREEDY, TokenListener.NONE).ids());
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
    for (int i = 0; i < 6; i++) assertArrayEquals(alone[i % 2], together.get(i).get());
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
      assertEquals(1, second.promptTokens(), "only the last token of before");
      assertArrayEquals(java.util.Arrays.copyOf(expected, 10), first);
      assertArrayEquals(java.util.Arrays.copyOfRange(expected, 10, 24), second.ids());
      assertEquals(model.tokenizer().encode(PROMPT, true).length + 24, session.numTokens());
    }
  }

  @Test
  void aSessionGoesOnAfterAStop() {
    int[] expected = model.generate(PROMPT, GREEDY, TokenListener.NONE).ids();
    try (Session session = model.newSession()) {
      GenerationResult stopped =
          session.generate(PROMPT, GREEDY.withStopIds(Set.of(expected[0])), TokenListener.NONE);
      assertEquals(0, stopped.ids().length);
      assertArrayEquals(expected, session.generate(new int[0], GREEDY, TokenListener.NONE).ids());
    }
  }

  @Test
  void closingEndsWhatRunsAndWaitsForIt() throws Exception {
    CountDownLatch running = new CountDownLatch(2);
    GenerateOptions options = GenerateOptions.greedy(900).withStopIds(Set.of());
    Future<GenerationResult> result =
        threads.submit(() -> model.generate(PROMPT, options, leisurely(running)));
    assertTrue(running.await(60, TimeUnit.SECONDS));
    model.close();
    assertEquals(FinishReason.CANCELLED, result.get().finishReason());
    assertTrue(result.get().ids().length < 900);
    model.close();
  }

  @Test
  void useAfterCloseIsRefused() {
    Session session = model.newSession();
    model.close();
    assertEquals(
        "model is closed",
        assertThrows(
                IllegalStateException.class,
                () -> model.generate(new int[] {1}, GREEDY, TokenListener.NONE))
            .getMessage());
    assertEquals(
        "model is closed",
        assertThrows(
                IllegalStateException.class,
                () -> model.generate(PROMPT, GREEDY, TokenListener.NONE))
            .getMessage());
    assertThrows(
        IllegalStateException.class, () -> model.forward(new int[] {1}, 0, ForwardListener.NONE));
    assertThrows(IllegalStateException.class, model::newSession);
    assertThrows(
        IllegalStateException.class,
        () -> session.generate(new int[] {1}, GREEDY, TokenListener.NONE));
    session.close();
    session.close();
  }

  @Test
  void closingFromInsideAListenerIsRefused() {
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class,
            () -> model.generate(PROMPT, GREEDY, (id, text) -> model.close()));
    assertEquals("close() called from inside a generation", e.getMessage());
    assertEquals(24, model.generate(PROMPT, GREEDY, TokenListener.NONE).ids().length);
  }

  @Test
  void aStepFromInsideAForwardListenerIsRefused() {
    assertThrows(
        IllegalStateException.class,
        () ->
            model.forward(
                new int[] {1},
                0,
                new ForwardListener() {
                  @Override
                  public void onHidden(int layer, int firstPosition, org.winnow.Tensor hidden) {
                    model.generate(new int[] {1}, GREEDY, TokenListener.NONE);
                  }
                }));
  }

  @Test
  void aModelWithoutTokenizerTakesIds() throws ExecutionException {
    try (LanguageModel llama =
        LanguageModel.open(Goldens.folder("llama"), LoadOptions.defaults())) {
      assertNull(llama.tokenizer());
      assertNull(llama.expertCounters());
      GenerationResult result =
          llama.generate(new int[] {3, 17}, GREEDY, (id, text) -> assertEquals("", text));
      assertEquals("", result.text());
      assertEquals(24, result.ids().length);
      assertNull(result.experts());
      assertThrows(
          IllegalStateException.class, () -> llama.generate("text", GREEDY, TokenListener.NONE));
    }
  }

  @Test
  void optionsOutOfRangeAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> GenerateOptions.greedy(-1));
    assertThrows(IllegalArgumentException.class, () -> GenerateOptions.sampling(1, -0.1, 0));
    assertThrows(IllegalArgumentException.class, () -> GenerateOptions.sampling(1, Double.NaN, 0));
    assertThrows(IllegalArgumentException.class, () -> GREEDY.withTopK(-1));
    assertThrows(IllegalArgumentException.class, () -> GREEDY.withTopP(0));
    assertThrows(IllegalArgumentException.class, () -> GREEDY.withTopP(1.1));
    assertThrows(IllegalArgumentException.class, () -> LoadOptions.defaults().withThreads(-1));
    assertThrows(IllegalArgumentException.class, () -> LoadOptions.defaults().withThreads(1025));
  }
}
