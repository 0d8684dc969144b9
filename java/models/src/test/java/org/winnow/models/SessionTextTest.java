package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.winnow.CheckpointException;
import org.winnow.ContextLengthException;

/** The text of a session is one stream, whichever calls make its tokens. */
class SessionTextTest {
  private static final int VOCABULARY_SIZE = 512; // of the golden checkpoint

  @TempDir Path folder;

  private LanguageModel open(String tokenizer) throws IOException {
    try (Stream<Path> files = Files.list(Goldens.folder("llama"))) {
      for (Path file : (Iterable<Path>) files::iterator)
        Files.copy(file, folder.resolve(file.getFileName()));
    }
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer);
    return LanguageModel.open(folder, LoadOptions.defaults());
  }

  private static GenerateOptions sampled(int maxTokens, int seed) {
    return GenerateOptions.sampling(maxTokens, 20, seed).withStopIds(Set.of());
  }

  @ParameterizedTest
  @EnumSource(names = {"BYTE_LEVEL", "LLAMA", "METASPACE", "WORD_PIECE", "NO_DECODER"})
  void severalCallsGiveTheTextOfTheirTokens(SmallTokenizers kind) throws IOException {
    Random random = new Random(5);
    try (LanguageModel model = open(kind.json)) {
      for (int round = 0; round < 8; round++) {
        try (Session session = model.newSession()) {
          StringBuilder shown = new StringBuilder();
          TextStream expected = model.tokenizer().stream();
          StringBuilder texts = new StringBuilder();
          int[] prompt = {0, 1 + random.nextInt(kind.tokens.size() - 1)};
          for (int call = 0; call < 5; call++) {
            GenerationResult result =
                session.generate(
                    prompt,
                    sampled(1 + random.nextInt(6), random.nextInt(1000)),
                    (id, text) -> shown.append(text));
            expected.skip(prompt);
            StringBuilder text = new StringBuilder();
            for (int id : result.ids()) text.append(expected.append(id));
            assertThat(result.text()).isEqualTo(text.toString());
            texts.append(result.text());
            // the next call goes on, or a new prompt comes first
            prompt = random.nextInt(3) > 0 ? new int[0] : new int[] {2 + random.nextInt(20)};
          }
          assertThat(shown).hasToString(texts.toString());
        }
      }
    }
  }

  @Test
  void showsACharacterOnceAlthoughACallEndsWithinIt() throws IOException {
    try (LanguageModel model = open(SmallTokenizers.LLAMA.json);
        Session session = model.newSession()) {
      int[] smile = {2 + 0xf0, 2 + 0x9f, 2 + 0x99, 2 + 0x82};
      session.append(new int[] {0, SmallTokenizers.LLAMA.tokens.indexOf("\u2581Hi")});
      assertThat(session.append(smile[0]) + session.append(smile[1])).isEmpty();
      session.append(new int[] {smile[2]}); // the next prompt goes on with the character
      assertThat(session.append(smile[3])).isEqualTo("\ud83d\ude42");
      assertThat(session.append(SmallTokenizers.LLAMA.tokens.indexOf("\u2581Hi"))).isEqualTo(" Hi");
    }
  }

  @Test
  void aListenerMustNotUseItsOwnSession() throws IOException {
    try (LanguageModel model = open(SmallTokenizers.GEMMA.json);
        Session session = model.newSession()) {
      int[] alone = model.generate(new int[] {0}, sampled(6, 1), TokenListener.NONE).ids();
      TokenListener listener =
          (id, text) -> {
            assertThatThrownBy(
                    () -> session.generate(new int[] {3}, sampled(1, 2), TokenListener.NONE))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("a listener must not generate in its own session");
            assertThatThrownBy(() -> session.generate("Hi", sampled(1, 2), TokenListener.NONE))
                .isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(session::close)
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("close() called from inside a generation");
            assertThatThrownBy(model::close)
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("close() called from inside a generation");
          };
      assertThat(session.generate(new int[] {0}, sampled(6, 1), listener).ids()).isEqualTo(alone);
    }
  }

  @Test
  void aListenerMayUseOtherSessions() throws IOException {
    try (LanguageModel model = open(SmallTokenizers.GEMMA.json);
        Session session = model.newSession()) {
      int[] alone = model.generate(new int[] {0}, sampled(6, 1), TokenListener.NONE).ids();
      int[] inside =
          session
              .generate(
                  new int[] {0},
                  sampled(6, 1),
                  (id, text) -> {
                    try (Session other = model.newSession()) {
                      int[] ids =
                          other.generate(new int[] {0}, sampled(6, 1), TokenListener.NONE).ids();
                      assertThat(ids).isEqualTo(alone);
                    }
                  })
              .ids();
      assertThat(inside).isEqualTo(alone);
      int[] more = session.generate(new int[0], sampled(6, 1), TokenListener.NONE).ids();
      assertThat(session.numTokens()).isEqualTo(1 + 6 + 6);
      assertThat(Arrays.stream(more)).allMatch(id -> id < VOCABULARY_SIZE);
    }
  }

  @Test
  void refusesTokensBeyondTheVocabulary() {
    String more =
        ",{\"id\":%d,\"content\":\"<more%d>\",\"single_word\":false,\"lstrip\":false,"
            + "\"rstrip\":false,\"normalized\":false,\"special\":true}";
    StringBuilder added = new StringBuilder();
    for (int id = SmallTokenizers.GEMMA.tokens.size(); id <= VOCABULARY_SIZE; id++)
      added.append(String.format(more, id, id));
    String json =
        SmallTokenizers.GEMMA.json.replaceFirst(
            "\\}\\],\"normalizer\"", "}" + added + "],\"normalizer\"");
    assertThatThrownBy(() -> open(json))
        .isInstanceOf(CheckpointException.class)
        .hasMessageEndingWith(
            "tokenizer.json: added token <more512>: expected an id below the model's vocab_size of"
                + " 512, found 512");
  }

  /** The context has 512 tokens, a token of this tokenizer at most six bytes. */
  @Test
  void refusesAPromptThatCannotFitBeforeItIsEncoded() throws IOException {
    try (LanguageModel model = open(SmallTokenizers.LLAMA.json);
        Session session = model.newSession()) {
      session.generate(new int[] {0, 1}, sampled(1, 1), TokenListener.NONE);
      String fitting = "H".repeat(6 * (512 - 3 - 10));
      assertThatThrownBy(() -> session.generate(fitting + "H", sampled(10, 1), TokenListener.NONE))
          .isInstanceOf(ContextLengthException.class)
          .hasMessage("sequence must hold at most 512 tokens, found at least 513");
      assertThatThrownBy(() -> session.generate(fitting, sampled(10, 1), TokenListener.NONE))
          .isInstanceOf(ContextLengthException.class) // its tokens have one byte each
          .hasMessage("sequence must hold at most 512 tokens, found 3008");
      // longer than one call of the library takes, and without a place to cut
      String huge = "H".repeat(50_000_000);
      assertThatThrownBy(() -> session.generate(huge, sampled(10, 1), TokenListener.NONE))
          .isInstanceOf(ContextLengthException.class)
          .hasMessage("sequence must hold at most 512 tokens, found at least 8333347");
      assertThat(session.numTokens()).isEqualTo(3);
    }
  }
}
