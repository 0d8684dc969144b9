package org.winnow.models;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * Changes JSON as damage or an attack would. Some changes are to bytes and lengths; others are to
 * values, keys and nesting and still parse. The same seed makes the same changes.
 */
final class JsonMutator {
  private static final String STRING =
      "\"[^\"\\\\]*+(?:\\\\.[^\"\\\\]*+)*+\""; // possessive, so that matching needs no stack per
  // character
  private static final Pattern VALUE =
      Pattern.compile(STRING + "(?!\\s*:)|-?\\d[\\d.eE+-]*+|\\btrue\\b|\\bfalse\\b|\\bnull\\b");
  private static final Pattern PAIR =
      Pattern.compile(
          STRING + "\\s*:\\s*(?:" + STRING + "|[-\\w.+]++|\\[[^\\[\\]]*+\\]|\\{[^{}]*+\\})");
  private static final Pattern KEY = Pattern.compile(STRING + "(?=\\s*:)");

  private static final Pattern OBJECT = Pattern.compile("\\{(?=\\s*\")"); // with an entry

  private static final String[] VALUES = {
    "0",
    "1",
    "-1",
    "-0",
    "2",
    "7",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "0.5",
    "1.0",
    "1e3",
    "1e308",
    "1e999",
    "-1e999",
    "5e-324",
    "NaN",
    "Infinity",
    "00",
    "0x10",
    "1_000",
    "9".repeat(99),
    "9".repeat(2000),
    "null",
    "true",
    "false",
    "\"\"",
    "\"64\"",
    "\"F32\"",
    "\"BF16\"",
    "\"F4\"",
    "\"F8_E4M3\"",
    "\"BOOL\"",
    "\"f32\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"../x.safetensors\"",
    "\"/dev/zero\"",
    "\"yarn\"",
    "\"default\"",
    "\"linear\"",
    "\"llama3\"",
    "\"dynamic\"",
    "\"longrope\"",
    "\"softmax\"",
    "\"sigmoid\"",
    "\"noaux_tc\"",
    "\"full_attention\"",
    "[\"full_attention\",\"sliding_attention\",\"chunked_attention\"]",
    "[\"sparse\",\"dense\",\"moe\"]",
    "{\"rope_type\":\"yarn\",\"factor\":4.0}",
    "{\"full_attention\":{\"rope_type\":\"default\"},\"sliding_attention\":{\"rope_theta\":1}}",
    "[]",
    "{}",
    "[[]]",
    "[0]",
    "[0,0]",
    "[-1]",
    "[4611686018427387904,4]",
    "{\"a\":1}",
    "{\"a\":1,\"a\":2}",
    "[null]",
    "\"" + "x".repeat(5000) + "\""
  };

  private final Random random;
  private String other = ""; // JSON whose entries and values may be mixed in

  JsonMutator(long seed) {
    random = new Random(seed);
  }

  /** Also takes entries and values from another file of the same kind. */
  JsonMutator mixing(byte[] newOther) {
    other = new String(newOther, StandardCharsets.UTF_8);
    return this;
  }

  byte[] mutate(byte[] original) {
    byte[] bytes = original;
    for (int changes = random.nextInt(4) > 0 ? 1 : 2 + random.nextInt(2); changes > 0; changes--) {
      bytes =
          random.nextInt(3) == 0
              ? mutateBytes(bytes)
              : mutateText(new String(bytes, StandardCharsets.UTF_8))
                  .getBytes(StandardCharsets.UTF_8);
    }
    return bytes;
  }

  private byte[] mutateBytes(byte[] bytes) {
    if (bytes.length == 0) return new byte[] {(byte) random.nextInt()};
    int at = random.nextInt(bytes.length);
    int length = Math.min(bytes.length - at, 1 + random.nextInt(16));
    byte[] changed = bytes.clone();
    switch (random.nextInt(6)) {
      case 0 -> changed[at] ^= (byte) (1 << random.nextInt(8));
      case 1 -> changed[at] = (byte) random.nextInt();
      case 2 -> changed = Arrays.copyOf(bytes, at); // cut off
      case 3 -> changed = splice(bytes, at, at + length, new byte[0]);
      case 4 ->
          changed = splice(bytes, at, at, Arrays.copyOfRange(bytes, at, at + length)); // repeated
      default -> {
        byte[] noise = new byte[length];
        random.nextBytes(noise);
        changed = splice(bytes, at, at + length, noise);
      }
    }
    return changed;
  }

  private static byte[] splice(byte[] bytes, int begin, int end, byte[] middle) {
    byte[] result = new byte[begin + middle.length + bytes.length - end];
    System.arraycopy(bytes, 0, result, 0, begin);
    System.arraycopy(middle, 0, result, begin, middle.length);
    System.arraycopy(bytes, end, result, begin + middle.length, bytes.length - end);
    return result;
  }

  private String mutateText(String text) {
    return switch (random.nextInt(other.isEmpty() ? 8 : 11)) {
      case 0, 1, 2 -> replace(text, any(text, VALUE), VALUES[random.nextInt(VALUES.length)]);
      case 3 -> swap(text, any(text, VALUE), any(text, VALUE));
      case 4 -> remove(text, any(text, PAIR));
      case 5 -> {
        MatchResult pair = any(text, PAIR); // the key twice, perhaps with another value
        yield pair == null
            ? text
            : replace(
                text,
                pair,
                pair.group()
                    + ","
                    + pair.group().replaceFirst("\\d+", Integer.toString(random.nextInt(100))));
      }
      case 6 -> swap(text, any(text, KEY), any(text, KEY));
      case 8, 9 -> { // an entry of the other file, at the beginning of an object
        MatchResult brace = any(text, OBJECT);
        MatchResult pair = any(other, PAIR);
        yield brace == null || pair == null ? text : replace(text, brace, "{" + pair.group() + ",");
      }
      case 10 -> {
        MatchResult value = any(other, VALUE);
        yield value == null ? text : replace(text, any(text, VALUE), value.group());
      }
      default -> {
        int depth = 1 << random.nextInt(12);
        String open = random.nextBoolean() ? "[" : "{\"a\":";
        yield replace(
            text,
            any(text, VALUE),
            open.repeat(depth) + "1" + (open.equals("[") ? "]" : "}").repeat(depth));
      }
    };
  }

  private MatchResult any(String text, Pattern pattern) {
    List<MatchResult> all = new ArrayList<>(pattern.matcher(text).results().toList());
    return all.isEmpty() ? null : all.get(random.nextInt(all.size()));
  }

  private static String replace(String text, MatchResult part, String replacement) {
    return part == null
        ? text
        : text.substring(0, part.start()) + replacement + text.substring(part.end());
  }

  private static String remove(String text, MatchResult part) {
    if (part == null) return text;
    int end = part.end();
    while (end < text.length()
        && (Character.isWhitespace(text.charAt(end)) || text.charAt(end) == ',')) end++;
    return text.substring(0, part.start()) + text.substring(end);
  }

  private static String swap(String text, MatchResult one, MatchResult other) {
    if (one == null || other == null || one.start() == other.start()) return text;
    MatchResult first = one.start() < other.start() ? one : other;
    MatchResult second = first == one ? other : one;
    return text.substring(0, first.start())
        + second.group()
        + text.substring(first.end(), second.start())
        + first.group()
        + text.substring(second.end());
  }
}
