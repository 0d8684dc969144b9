package org.winnow.models;

import java.util.ArrayList;
import java.util.List;

/** A tokenizer.json of each kind, with vocabularies of a few hundred tokens. */
enum SmallTokenizers {
  BYTE_LEVEL(byteLevel(), "null", byteLevelPart(false), byteLevelPart(true), "BPE"),
  BYTE_LEVEL_STRIPPED(
      byteLevel(),
      "null",
      byteLevelPart(true),
      sequence(byteLevelPart(true), replace("Hi", "hello"), strip(2, 0)),
      "BPE"),
  LLAMA(
      spaces(true),
      "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\u2581\"},"
          + replace(" ", "\u2581")
          + "]}",
      "null",
      sequence(
          replace("\u2581", " "),
          "{\"type\":\"ByteFallback\"}",
          "{\"type\":\"Fuse\"}",
          strip(1, 0)),
      "BPE"),
  GEMMA(
      spaces(true),
      replace(" ", "\u2581"),
      "null",
      sequence(replace("\u2581", " "), "{\"type\":\"ByteFallback\"}", "{\"type\":\"Fuse\"}"),
      "BPE"),
  STRIPPED_AT_BOTH_ENDS(
      spaces(false),
      "null",
      metaspace("always"),
      sequence("{\"type\":\"Fuse\"}", replace("\u2581\u2581H", "<>"), strip(1, 2)),
      "BPE"),
  STRIPPED_TOKENS(spaces(false), "null", metaspace("first"), sequence(strip(1, 0)), "BPE"),
  METASPACE(spaces(true), "null", metaspace("always"), metaspace("always"), "Unigram"),
  METASPACE_NEVER(spaces(false), "null", metaspace("never"), metaspace("never"), "Unigram"),
  WORD_PIECE(
      words("", "##"),
      "null",
      "{\"type\":\"BertPreTokenizer\"}",
      "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}",
      "WordPiece"),
  WORD_END(
      words("</w>", ""),
      "null",
      "{\"type\":\"Whitespace\"}",
      "{\"type\":\"BPEDecoder\",\"suffix\":\"</w>\"}",
      "BPE"),
  NO_DECODER(words("", ""), "null", "{\"type\":\"WhitespaceSplit\"}", "null", "WordLevel");

  /** Token texts by id; the first is the special token that begins a text. */
  final List<String> tokens;

  final String json;

  SmallTokenizers(
      List<String> tokens, String normalizer, String preTokenizer, String decoder, String model) {
    this.tokens = tokens;
    this.json =
        "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":["
            + added(0, tokens.get(0), true)
            + ","
            + added(1, tokens.get(1), false)
            + "],\"normalizer\":"
            + normalizer
            + ",\"pre_tokenizer\":"
            + preTokenizer
            + ",\"post_processor\":null,\"decoder\":"
            + decoder
            + ",\"model\":"
            + model(model, tokens)
            + "}";
  }

  static String added(int id, String content, boolean special) {
    return "{\"id\":"
        + id
        + ",\"content\":"
        + quote(content)
        + ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":"
        + special
        + "}";
  }

  private static String model(String type, List<String> tokens) {
    StringBuilder vocabulary = new StringBuilder();
    for (int i = 0; i < tokens.size(); i++) {
      String token = quote(tokens.get(i));
      vocabulary.append(i == 0 ? "" : ",");
      if (type.equals("Unigram"))
        vocabulary.append('[').append(token).append(",-").append(i % 7 + 1).append(']');
      else vocabulary.append(token).append(':').append(i);
    }
    return switch (type) {
      case "BPE" ->
          "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"<unk>\",\"continuing_subword_prefix\":null,"
              + "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":"
              + tokens.contains("<0x00>")
              + ",\"ignore_merges\":false,\"vocab\":{"
              + vocabulary
              + "},\"merges\":[\"H i\"]}";
      case "Unigram" ->
          "{\"type\":\"Unigram\",\"unk_id\":1,\"byte_fallback\":"
              + tokens.contains("<0x00>")
              + ",\"vocab\":["
              + vocabulary
              + "]}";
      case "WordPiece" ->
          "{\"type\":\"WordPiece\",\"unk_token\":\"<unk>\",\"continuing_subword_prefix\":\"##\","
              + "\"max_input_chars_per_word\":100,\"vocab\":{"
              + vocabulary
              + "}}";
      default -> "{\"type\":\"WordLevel\",\"unk_token\":\"<unk>\",\"vocab\":{" + vocabulary + "}}";
    };
  }

  private static List<String> start() {
    return new ArrayList<>(List.of("<s>", "<unk>"));
  }

  private static List<String> byteLevel() {
    List<String> tokens = start();
    for (char c = 0; c < 324; c++) if (ByteAlphabet.value(c) >= 0) tokens.add(String.valueOf(c));
    tokens.addAll(List.of("Hi", "\u0120Hi", "\u00ef\u00bf\u00bd", "\u4f60", "H\u4f60"));
    return tokens; // those with a character of no byte are taken as they are
  }

  private static List<String> spaces(boolean bytes) {
    List<String> tokens = start();
    for (int i = 0; bytes && i < 256; i++) tokens.add(String.format("<0x%02X>", i));
    tokens.addAll(
        List.of(
            "\u2581", "H", "i", "Hi", "\u2581H", "\u2581Hi", "\u2581\u2581", "\uFFFD", "\u4f60"));
    tokens.addAll(List.of(" ", "  ", "\ud83d\ude42", "<0x+A>", "<0xZZ>"));
    if (!bytes) tokens.add("a\u2581");
    return tokens;
  }

  private static List<String> words(String end, String prefix) {
    List<String> tokens = start();
    for (String word :
        new String[] {"H", "i", "Hi", ".", "'", "s", "do", "not", "n't", "\ud83d\ude42"})
      tokens.addAll(
          prefix.isEmpty() && end.isEmpty() ? List.of(word) : List.of(word, prefix + word + end));
    if (!end.isEmpty()) tokens.addAll(List.of("a</w>b", "</w>"));
    return tokens;
  }

  private static String byteLevelPart(boolean prefix) {
    return "{\"type\":\"ByteLevel\",\"add_prefix_space\":"
        + prefix
        + ",\"trim_offsets\":true,\"use_regex\":true}";
  }

  private static String metaspace(String scheme) {
    return "{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\""
        + scheme
        + "\",\"split\":true}";
  }

  private static String replace(String pattern, String content) {
    return "{\"type\":\"Replace\",\"pattern\":{\"String\":\""
        + pattern
        + "\"},\"content\":\""
        + content
        + "\"}";
  }

  private static String strip(int start, int stop) {
    return "{\"type\":\"Strip\",\"content\":\" \",\"start\":" + start + ",\"stop\":" + stop + "}";
  }

  private static String sequence(String... decoders) {
    return "{\"type\":\"Sequence\",\"decoders\":[" + String.join(",", decoders) + "]}";
  }

  static String quote(String text) {
    return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
  }
}
