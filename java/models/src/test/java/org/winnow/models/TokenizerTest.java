package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.CheckpointException;

class TokenizerTest {
  private static final int VOCABULARY_SIZE = 2048;

  private static Tokenizer tokenizer;

  @TempDir Path folder;

  @BeforeAll
  static void open() {
    tokenizer = Tokenizer.open(Goldens.kjvMoe());
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  @Test
  void encodesTheHeldOutTextAsItsReadmeSays() throws IOException {
    String text = Files.readString(Goldens.kjvMoe().resolve("heldout.txt"));
    int[] ids = tokenizer.encode(text, false);
    assertThat(ids).hasSize(27_340); // longer than the model's context, and not cut
    assertThat(Arrays.stream(ids).filter(id -> id == 0)).hasSize(13); // one marker per document
    assertThat(tokenizer.decode(ids, false)).isEqualTo(text);
    assertThat(tokenizer.decode(ids, true)).isEqualTo(text.replace("<|endoftext|>", ""));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "  two  spaces ",
        "na\u00efve \u4f60\u597d \ud83d\ude42\ud83c\udff3\ufe0f\u200d\ud83c\udf08",
        "a\u0000b",
        "\r\n\t",
        "<|endoftext|>Psalm 23"
      })
  void comesBackUnchanged(String text) {
    assertThat(tokenizer.decode(tokenizer.encode(text, true), false)).isEqualTo(text);
  }

  @Test
  void takesHalfACharacterForAQuestionMark() {
    assertThat(tokenizer.decode(tokenizer.encode("a\ud83db", false), false)).isEqualTo("a?b");
  }

  @Test
  void leavesOutIdsOutsideTheVocabulary() {
    int[] ids = tokenizer.encode("In the beginning", false);
    int[] more = Arrays.copyOf(ids, ids.length + 2);
    more[ids.length] = VOCABULARY_SIZE;
    more[ids.length + 1] = Integer.MAX_VALUE;
    assertThat(tokenizer.decode(more, false)).isEqualTo("In the beginning");
    assertThatThrownBy(() -> tokenizer.decode(new int[] {1, -1}, false))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("ids must not be negative, found -1 at 1");
  }

  @Test
  void streamsWholeCharactersOnly() {
    String text = "Emma \ud83d\ude42, na\u00efve \u4f60\u597d!";
    int[] ids = tokenizer.encode(text, false);
    TextStream stream = tokenizer.stream();
    StringBuilder shown = new StringBuilder();
    int numEmpty = 0;
    for (int id : ids) {
      String piece = stream.append(id);
      numEmpty += piece.isEmpty() ? 1 : 0;
      assertThat(piece).doesNotContain("\uFFFD");
      if (!piece.isEmpty())
        assertThat(Character.isHighSurrogate(piece.charAt(piece.length() - 1))).isFalse();
      shown.append(piece);
    }
    assertThat(numEmpty)
        .isGreaterThan(3); // the vocabulary has no token for these characters as a whole
    assertThat(shown).hasToString(text);
    assertThat(stream.finish()).isEmpty();
  }

  @Test
  void completesACharacterThatThePromptBegan() {
    int[] ids = tokenizer.encode("a\ud83d\ude42", false);
    assertThat(ids).hasSizeGreaterThan(2);
    TextStream stream = tokenizer.stream(Arrays.copyOf(ids, ids.length - 1));
    assertThat(stream.append(ids[ids.length - 1])).isEqualTo("\ud83d\ude42");
    assertThat(stream.append(tokenizer.encode("b", false)[0])).isEqualTo("b");
  }

  @Test
  void showsWhatIsIncompleteAtTheEnd() {
    int[] ids = tokenizer.encode("a\ud83d\ude42", false);
    TextStream stream = tokenizer.stream();
    StringBuilder shown = new StringBuilder();
    for (int i = 0; i + 1 < ids.length; i++) shown.append(stream.append(ids[i]));
    assertThat(shown).hasToString("a");
    assertThat(stream.finish()).contains("\uFFFD");
    assertThat(stream.finish()).isEmpty();
  }

  @Test
  void streamsWhatTheWholeDecodes() throws IOException {
    int[] ids =
        tokenizer.encode(
            Files.readString(Goldens.kjvMoe().resolve("heldout.txt")).substring(0, 4000), false);
    for (int begin : new int[] {0, 1, 5, 100}) {
      TextStream stream = tokenizer.stream(Arrays.copyOf(ids, begin));
      StringBuilder shown = new StringBuilder(tokenizer.decode(Arrays.copyOf(ids, begin), true));
      for (int i = begin; i < ids.length; i++) shown.append(stream.append(ids[i]));
      assertThat(shown.append(stream.finish())).hasToString(tokenizer.decode(ids, true));
    }
  }

  /**
   * Random ids give bytes that are not UTF-8. The stream must not hold text back forever, and must
   * return every valid character.
   */
  @Test
  void keepsUpWithBytesThatAreNoText() {
    Random random = new Random(3);
    for (int round = 0; round < 50; round++) {
      int[] ids = random.ints(200, 0, VOCABULARY_SIZE).toArray();
      TextStream stream = tokenizer.stream();
      StringBuilder shown = new StringBuilder();
      for (int id : ids) shown.append(stream.append(id));
      shown.append(stream.finish());
      assertThat(shown.toString().replace("\uFFFD", ""))
          .isEqualTo(tokenizer.decode(ids, true).replace("\uFFFD", ""));
    }
  }

  /**
   * A tokenizer like Llama's: a mark for the preceding space begins each word, unknown characters
   * become bytes, and decoding drops one leading space.
   */
  private Tokenizer sentencePiece() throws IOException {
    StringBuilder vocabulary = new StringBuilder("\"<unk>\":0,\"<s>\":1,\"</s>\":2");
    for (int i = 0; i < 256; i++) vocabulary.append(String.format(",\"<0x%02X>\":%d", i, 3 + i));
    String[] pieces = {"\u2581", "H", "i", "\u2581H", "\u2581Hi", "w", "\u2581w"};
    for (int i = 0; i < pieces.length; i++)
      vocabulary.append(",\"").append(pieces[i]).append("\":").append(259 + i);
    String replace = "{\"type\":\"Replace\",\"pattern\":{\"String\":\"%s\"},\"content\":\"%s\"}";
    Files.writeString(
        folder.resolve("tokenizer.json"),
        "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":["
            + "{\"id\":1,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],"
            + "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\u2581\"},"
            + String.format(replace, " ", "\u2581")
            + "]},"
            + "\"pre_tokenizer\":null,\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},"
            + "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
            + "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[1],\"tokens\":[\"<s>\"]}}},"
            + "\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
            + String.format(replace, "\u2581", " ")
            + ",{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
            + "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
            + "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"<unk>\",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
            + "\"fuse_unk\":true,\"byte_fallback\":true,\"ignore_merges\":false,\"vocab\":{"
            + vocabulary
            + "},\"merges\":[\"\u2581 H\",\"\u2581H i\",\"\u2581 w\"]}}");
    return Tokenizer.open(folder);
  }

  @Test
  void keepsTheSpaceBehindThePrompt() throws IOException {
    try (Tokenizer llama = sentencePiece()) {
      int[] prompt = llama.encode("Hi Hi", true);
      assertThat(prompt).containsExactly(1, 263, 263); // with the token that begins every text
      assertThat(llama.encode("Hi", false)).containsExactly(263);
      TextStream stream = llama.stream(prompt);
      assertThat(
              List.of(stream.append(263), stream.append(1), stream.append(265), stream.append(261)))
          .containsExactly(" Hi", "", " w", "i");
      TextStream fresh = llama.stream();
      assertThat(List.of(fresh.append(1), fresh.append(263), fresh.append(263)))
          .containsExactly("", "Hi", " Hi");
    }
  }

  /** Like the files of DeepSeek-V3: only the configuration says that a token begins every text. */
  @Test
  void beginsTextsAsTheConfigurationSays() throws IOException {
    Files.copy(Goldens.kjvMoe().resolve("tokenizer.json"), folder.resolve("tokenizer.json"));
    int[] plain = tokenizer.encode("Moses said", true);
    int[] begun = tokenizer.encode("<|endoftext|>Moses said", true);
    assertThat(begun).hasSize(plain.length + 1);
    assertThat(configured("{}").encode("Moses said", true)).containsExactly(plain);
    assertThat(configured("{\"bos_token\":\"<|endoftext|>\"}").encode("Moses said", true))
        .containsExactly(plain);
    for (String token : new String[] {"\"<|endoftext|>\"", "{\"content\":\"<|endoftext|>\"}"}) {
      Tokenizer beginning = configured("{\"add_bos_token\":true,\"bos_token\":" + token + "}");
      assertThat(beginning.encode("Moses said", true)).containsExactly(begun);
      assertThat(beginning.encode("<|endoftext|>Moses said", true)).containsExactly(begun);
      assertThat(beginning.encode("Moses said", false)).containsExactly(plain);
      assertThat(beginning.encode("", true)).containsExactly(begun[0]);
    }
    assertThatThrownBy(() -> configured("{\"add_bos_token\":true,\"bos_token\":\"Moses said\"}"))
        .isInstanceOf(CheckpointException.class)
        .hasMessageEndingWith(
            "tokenizer_config.json: expected bos_token of one token, found Moses said");
  }

  private Tokenizer configured(String configuration) throws IOException {
    Files.writeString(folder.resolve("tokenizer_config.json"), configuration);
    return Tokenizer.open(folder);
  }

  @Test
  void joinsBytesOfACharacter() throws IOException {
    try (Tokenizer llama = sentencePiece()) {
      int[] ids = llama.encode("Hi \ud83d\ude42", false);
      assertThat(ids).containsExactly(263, 259, 3 + 0xf0, 3 + 0x9f, 3 + 0x99, 3 + 0x82);
      TextStream stream = llama.stream();
      StringBuilder shown = new StringBuilder();
      for (int id : ids) shown.append(stream.append(id)).append('|');
      assertThat(shown).hasToString("Hi| ||||\ud83d\ude42|");
    }
  }

  @Test
  void refusesWhatIsNoTokenizer() throws IOException {
    Path file = folder.resolve("tokenizer.json");
    assertThatThrownBy(() -> Tokenizer.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("tokenizer.json: expected a file, found nothing");
    Files.writeString(file, "{\"version\":\"1.0\"}");
    assertThatThrownBy(() -> Tokenizer.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("model: expected a tokenizer's model, found none");
    byte[] whole = Files.readAllBytes(Goldens.kjvMoe().resolve("tokenizer.json"));
    Files.write(file, Arrays.copyOf(whole, whole.length / 2));
    assertThatThrownBy(() -> Tokenizer.open(file))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("expected JSON, found Unexpected end");
  }

  @Test
  void refusesUseAfterClose() {
    Tokenizer closed = Tokenizer.open(Goldens.kjvMoe());
    TextStream stream = closed.stream();
    closed.close();
    closed.close();
    assertThatThrownBy(() -> closed.encode("a", false))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("tokenizer is closed");
    assertThatThrownBy(() -> stream.append(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("tokenizer is closed");
  }

  @Test
  void closeWaitsForRunningCalls() throws Exception {
    String text = Files.readString(Goldens.kjvMoe().resolve("heldout.txt"));
    for (int round = 0; round < 5; round++) {
      Tokenizer shared = Tokenizer.open(Goldens.kjvMoe());
      List<CompletableFuture<Integer>> runs =
          Stream.generate(
                  () ->
                      CompletableFuture.supplyAsync(
                          () -> {
                            int calls = 0;
                            try {
                              while (true)
                                calls +=
                                    shared.encode(text, false).length == 27_340 ? 1 : 1_000_000;
                            } catch (IllegalStateException e) {
                              return calls;
                            }
                          }))
              .limit(2)
              .toList();
      TimeUnit.MILLISECONDS.sleep(20);
      shared.close();
      for (CompletableFuture<Integer> run : runs)
        assertThat(run.get(30, TimeUnit.SECONDS)).isLessThan(1_000_000);
    }
  }

  @Test
  void leavesNothingBehindPerTokenizer() throws IOException {
    try (Stream<Path> before = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
      long numFiles =
          before.filter(path -> path.getFileName().toString().contains("tokenizers")).count();
      for (int i = 0; i < 20; i++) Tokenizer.open(Goldens.kjvMoe()).close();
      try (Stream<Path> after = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
        assertThat(
                after.filter(path -> path.getFileName().toString().contains("tokenizers")).count())
            .isEqualTo(numFiles);
      }
    }
  }
}
