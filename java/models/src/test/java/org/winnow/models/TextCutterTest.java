package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class TextCutterTest {
  private static final String[] PARTS = {
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "Hi",
    "H",
    "i",
    "'s",
    "'LL",
    "don't",
    "12",
    "1234",
    ".",
    "?!",
    "/",
    "\u4f60\u597d",
    "\u3002",
    "\u00e9",
    "e\u0301",
    "\u212b",
    "\ud83d\ude42",
    "\u00a0",
    "\u3000",
    "\u0001",
    "<s>",
    "<unk>",
    " <s> ",
    "A",
    "aB",
    "\u2581",
    "_",
    "\u0130"
  };

  private static final String[] SIMPLE_PARTS = {
    " ",
    " ",
    "  ",
    "\n",
    ".\n",
    "Hi",
    "i",
    "n't",
    "12",
    "1234",
    ".",
    "?!",
    "/",
    "\u4f60\u597d",
    "\u3002",
    "\u00e9",
    "A",
    "aB"
  };

  @TempDir Path folder;

  private static String any(Random random, String[] parts) {
    return parts[random.nextInt(parts.length)];
  }

  private Tokenizer open(String json) throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), json);
    return Tokenizer.open(folder);
  }

  /** Every place that the cutter allows leaves the ids as they are. */
  private int checkCuts(String json) throws IOException {
    int cuts = 0;
    Random random = new Random(11);
    try (Tokenizer tokenizer = open(json)) {
      TextCutter cutter = TextCutter.of(TokenizerFile.read(folder.resolve("tokenizer.json")));
      assertThat(cutter).isNotNull();
      for (int round = 0; round < 150; round++) {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(60); i >= 0; i--)
          text.append(random.nextInt(9) == 0 ? any(random, PARTS) : any(random, SIMPLE_PARTS));
        int[] whole = tokenizer.encode(text.toString(), false);
        int to = text.length();
        for (int at; (at = cutter.last(text, 0, to)) >= 0; to = at - 1) {
          cuts++;
          int behind = cutter.dropsSpace() ? at + 1 : at;
          int[] first = tokenizer.encode(text.substring(0, at), false);
          int[] second = tokenizer.encode(text.substring(behind), false);
          assertThat(IntStream.concat(IntStream.of(first), IntStream.of(second)).toArray())
              .as("%s cut at %d", text, at)
              .isEqualTo(whole);
        }
      }
    }
    return cuts;
  }

  @ParameterizedTest
  @EnumSource(
      names = {"BYTE_LEVEL", "LLAMA", "GEMMA", "METASPACE", "METASPACE_NEVER", "STRIPPED_TOKENS"})
  void idsStayAsTheyAre(SmallTokenizers kind) throws IOException {
    assertThat(checkCuts(kind.json)).isGreaterThan(30);
  }

  static List<String> patterns() {
    return new ArrayList<>(TextCutter.SPLITTING);
  }

  @ParameterizedTest
  @MethodSource("patterns")
  void idsStayAsTheyAreForEachPattern(String pattern) throws IOException {
    for (String before :
        new String[] {"", "\\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"}) {
      for (String normalizer : new String[] {"null", "{\"type\":\"NFC\"}"}) {
        String steps = before.isEmpty() ? "" : split(before) + ",";
        String json = withPattern(steps + split(pattern), normalizer);
        assertThat(checkCuts(json)).isGreaterThan(30);
      }
    }
  }

  private static String withPattern(String steps, String normalizer) {
    return SmallTokenizers.BYTE_LEVEL
        .json
        .replaceFirst("\"pre_tokenizer\":\\{[^}]*\\}", "\"pre_tokenizer\":#PRE#")
        .replace("\"normalizer\":null", "\"normalizer\":" + normalizer)
        .replace(
            "#PRE#",
            "{\"type\":\"Sequence\",\"pretokenizers\":["
                + steps
                + ",{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"
                + "\"use_regex\":false}]}");
  }

  private static String split(String regex) {
    return "{\"type\":\"Split\",\"pattern\":{\"Regex\":"
        + SmallTokenizers.quote(regex)
        + "},\"behavior\":\"Isolated\",\"invert\":false}";
  }

  @Test
  void longTextsGiveTheIdsOfTheWhole() throws IOException {
    String text = Files.readString(Goldens.kjvMoe().resolve("heldout.txt"));
    String times = text.repeat(2 * TokenEncoder.PART_BYTES / text.length() + 1);
    try (Tokenizer tokenizer = Tokenizer.open(Goldens.kjvMoe())) {
      // the text begins with an added token, so its repetitions are independent
      int[] once = tokenizer.encode(text, false);
      int[] all = tokenizer.encode(times, false);
      assertThat(all).hasSize(once.length * (times.length() / text.length()));
      for (int i = 0; i < all.length; i++)
        if (all[i] != once[i % once.length]) throw new AssertionError("id " + i);
      assertThat(tokenizer.encode(new StringReader(times), false)).isEqualTo(all);
      assertThat(tokenizer.textBytes(all)).isEqualTo(times.replace("<|endoftext|>", "").length());
    }
  }

  @Test
  void longTextsHaveTheirSpecialTokensOnce() throws IOException {
    String template =
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},"
            + "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"<e>\",\"type_id\":0}}],"
            + "\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
            + "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[0],\"tokens\":[\"<s>\"]},"
            + "\"<e>\":{\"id\":\"<e>\",\"ids\":[1],\"tokens\":[\"<unk>\"]}}}";
    String json =
        SmallTokenizers.LLAMA.json.replace(
            "\"post_processor\":null", "\"post_processor\":" + template);
    String text = "Hi H ".repeat(60_000);
    try (Tokenizer tokenizer = open(json)) {
      int[] ids = tokenizer.encode(text, true);
      int[] plain = tokenizer.encode(text, false);
      assertThat(ids).startsWith(0).endsWith(1).hasSize(plain.length + 2);
      int hi = SmallTokenizers.LLAMA.tokens.indexOf("Hi");
      int mark = SmallTokenizers.LLAMA.tokens.indexOf("\u2581");
      int h = SmallTokenizers.LLAMA.tokens.indexOf("H");
      for (int i = 0; i + 4 <= plain.length; i += 4)
        if (plain[i] != mark || plain[i + 1] != hi || plain[i + 2] != mark || plain[i + 3] != h)
          throw new AssertionError("id " + i);
      assertThat(plain).hasSize(240_001).endsWith(mark);
    }
  }

  @Test
  void refusesLongTextsThatCannotBeCut() throws IOException {
    String unbroken = "a".repeat(TokenEncoder.MAX_CALL_BYTES + 1);
    try (Tokenizer tokenizer = Tokenizer.open(Goldens.kjvMoe())) {
      assertThatThrownBy(() -> tokenizer.encode("Hi " + unbroken, false))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "text must have a space behind a word in each 1048576 bytes, found none in those"
                  + " after byte 0");
    }
    try (Tokenizer tokenizer = open(SmallTokenizers.WORD_PIECE.json)) {
      assertThat(tokenizer.encode("Hi ".repeat(100), false)).hasSize(100);
      assertThatThrownBy(() -> tokenizer.encode("Hi ".repeat(400_000), false))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageMatching(
              "text must have at most 1048576 bytes: this tokenizer's texts cannot be cut; found"
                  + " at least 1[01][0-9]{5}");
    }
  }

  /** The native library takes a whole call's text that its pattern goes through again and again. */
  @Test
  void takesTextsOfTheGreatestLength() throws IOException {
    String pattern =
        TextCutter.SPLITTING.stream().filter(p -> p.startsWith("(?i")).findFirst().get();
    try (Tokenizer tokenizer = open(withPattern(split(pattern), "null"))) {
      String spaces = " ".repeat(TokenEncoder.MAX_CALL_BYTES);
      assertThat(tokenizer.encode(spaces, false)).hasSize(TokenEncoder.MAX_CALL_BYTES);
    }
  }

  /** How much longer a text may be than its canonical composition, character by character. */
  @Test
  void compositionShortensByLessThanTheFactor() {
    int[] longest = new int[Character.MAX_CODE_POINT + 1]; // bytes of what decomposes to it
    for (int c = 0; c < longest.length; c++) {
      if (!Character.isDefined(c) || (c >= 0xd800 && c < 0xe000)) continue;
      String whole = Normalizer.normalize(Character.toString(c), Normalizer.Form.NFD);
      longest[c] = Math.max(longest[c], bytes(c));
      if (whole.codePointCount(0, whole.length()) == 1)
        longest[whole.codePointAt(0)] = Math.max(longest[whole.codePointAt(0)], bytes(c));
    }
    double largest = 0;
    for (int c = 0; c < longest.length; c++) {
      if (!Character.isDefined(c) || (c >= 0xd800 && c < 0xe000)) continue;
      String whole = Normalizer.normalize(Character.toString(c), Normalizer.Form.NFD);
      int bytes = whole.codePoints().map(part -> longest[part]).sum();
      boolean isStable =
          Normalizer.normalize(Character.toString(c), Normalizer.Form.NFC).codePointAt(0) == c;
      if (isStable) largest = Math.max(largest, (double) bytes / bytes(c));
    }
    assertThat(largest).isEqualTo(3.5).isLessThan(TextLimits.COMPOSITION);
  }

  private static int bytes(int codePoint) {
    return codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
  }
}
