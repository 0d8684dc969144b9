package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TextStreamTest {
  private static final String SAMPLE = "Hi \u4f60\ud83d\ude42 \u00e9\uFFFD";

  @TempDir Path folder;

  private Tokenizer open(SmallTokenizers kind) throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), kind.json);
    return Tokenizer.open(folder);
  }

  /** Whatever the tokens, and wherever calls end: the pieces are the text, each byte once. */
  @ParameterizedTest
  @EnumSource
  void piecesAreTheText(SmallTokenizers kind) throws IOException {
    Random random = new Random(kind.ordinal());
    try (Tokenizer tokenizer = open(kind)) {
      for (int round = 0; round < 300; round++) {
        int[] ids = random.ints(random.nextInt(40), 0, kind.tokens.size() + 2).toArray();
        StringBuilder shown = new StringBuilder();
        TextStream stream = tokenizer.stream();
        for (int id : ids) {
          String piece = stream.append(id);
          if (!piece.isEmpty())
            assertThat(Character.isHighSurrogate(piece.charAt(piece.length() - 1))).isFalse();
          shown.append(piece);
        }
        shown.append(stream.finish());
        assertThat(shown).hasToString(tokenizer.decode(ids, true));
        int prompt = random.nextInt(ids.length + 1);
        TextStream behind = tokenizer.stream(Arrays.copyOf(ids, prompt));
        StringBuilder rest = new StringBuilder();
        for (int i = prompt; i < ids.length; i++) rest.append(behind.append(ids[i]));
        assertThat(shown.toString()).endsWith(rest.append(behind.finish()));
      }
    }
  }

  /** The text is the library's; a run of bytes that are no UTF-8 is the one exception. */
  @ParameterizedTest
  @EnumSource
  void textsAreThoseOfTheLibrary(SmallTokenizers kind) throws IOException {
    Random random = new Random(kind.ordinal());
    TokenizersLibrary library = TokenizersNatives.library();
    long handle = library.createTokenizerFromString(kind.json);
    try (Tokenizer tokenizer = open(kind)) {
      for (int round = 0; round < 300; round++) {
        int[] ids = tokens(kind, random);
        for (boolean skip : new boolean[] {true, false}) {
          long[] wide = Arrays.stream(ids).asLongStream().toArray();
          assertThat(tokenizer.decode(ids, skip)).isEqualTo(library.decode(handle, wide, skip));
        }
      }
    } finally {
      library.deleteTokenizer(handle);
    }
  }

  /** Tokens at random; those that are bytes are whole characters, or alone. */
  private static int[] tokens(SmallTokenizers kind, Random random) {
    List<Integer> ids = new ArrayList<>();
    int bytes = kind.tokens.indexOf("<0x00>");
    int other = kind.tokens.indexOf("i");
    ids.add(other < 0 ? 2 : other); // the library ends the process if nothing is left to strip
    for (int i = random.nextInt(20); i > 0; i--) {
      int id = random.nextInt(kind.tokens.size());
      boolean isByte = DecoderStage.ByteFallback.byteOf(kind.tokens.get(id)) >= 0;
      if (bytes >= 0 && isByte) {
        int at =
            SAMPLE.offsetByCodePoints(0, random.nextInt(SAMPLE.codePointCount(0, SAMPLE.length())));
        String character = Character.toString(SAMPLE.codePointAt(at));
        if (random.nextBoolean())
          for (byte b : character.getBytes(StandardCharsets.UTF_8)) ids.add(bytes + (b & 0xff));
        else ids.add(id);
        ids.add(other);
      } else ids.add(id);
    }
    return ids.stream().mapToInt(Integer::intValue).toArray();
  }

  /** A complete character is shown at once, even if the bytes before it are none. */
  @Test
  void keepsCharactersBesideWrongBytes() throws IOException {
    try (Tokenizer tokenizer = open(SmallTokenizers.LLAMA)) {
      int[] ids = {0xff, 0xf0, 0x9f, 0x99, 0x82, 0xe4, 0xbd, 'a', 0xed, 0xa0, 0x80};
      TextStream stream = tokenizer.stream();
      StringBuilder shown = new StringBuilder();
      for (int id : ids) shown.append(stream.append(id + 2)).append('|');
      assertThat(shown).hasToString("\uFFFD||||\ud83d\ude42|||\uFFFD\uFFFDa||\uFFFD\uFFFD|\uFFFD|");
    }
  }

  @Test
  void bytesBecomeCharactersAsInJavasDecoder() {
    Random random = new Random(7);
    for (int round = 0; round < 20_000; round++) {
      byte[] bytes = new byte[random.nextInt(8)];
      for (int i = 0; i < bytes.length; i++)
        bytes[i] = (byte) (random.nextBoolean() ? random.nextInt(256) : 0x80 + random.nextInt(128));
      StringBuilder text = new StringBuilder();
      Utf8Stream stream = new Utf8Stream(false);
      for (byte value : bytes) stream.take(value & 0xff, text);
      stream.end(text);
      String expected = new String(bytes, StandardCharsets.UTF_8);
      // Java takes the bytes of half a surrogate pair for one wrong sequence, others for three
      if (indexOfSurrogate(bytes) < 0) assertThat(text).hasToString(expected);
    }
  }

  private static int indexOfSurrogate(byte[] bytes) {
    for (int i = 0; i + 1 < bytes.length; i++)
      if (bytes[i] == (byte) 0xed && (bytes[i + 1] & 0xe0) == 0xa0) return i;
    return -1;
  }

  @Test
  void endsOnce() throws IOException {
    try (Tokenizer tokenizer = open(SmallTokenizers.LLAMA)) {
      TextStream stream = tokenizer.stream();
      assertThat(stream.append(2 + 0xf0)).isEmpty();
      assertThat(stream.finish()).isEqualTo("\uFFFD");
      assertThat(stream.finish()).isEmpty();
      assertThatThrownBy(() -> stream.append(3))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the text has ended");
      assertThatThrownBy(() -> tokenizer.stream().append(-1))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("ids must not be negative, found -1");
    }
  }
}
