package org.winnow.models;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

/**
 * The parts of a tokenizer.json that its sections may hold: their types by name, and each type's
 * fields. It follows the library's structures (tokenizers 0.21.4). The library ends the process on
 * some contents that this class refuses: a template with a token that it does not define, a pattern
 * that takes exponential time.
 */
final class TokenizerParts {
  /** What a field may hold. A name that ends in {@code ?} may be null or absent. */
  private static final Map<String, Map<String, String>> SECTIONS =
      Map.of(
          "normalizer",
          Map.ofEntries(
              Map.entry(
                  "BertNormalizer",
                  "clean_text:bool handle_chinese_chars:bool strip_accents?:bool lowercase:bool"),
              Map.entry("Strip", "strip_left:bool strip_right:bool"),
              Map.entry("StripAccents", ""),
              Map.entry("NFC", ""),
              Map.entry("NFD", ""),
              Map.entry("NFKC", ""),
              Map.entry("NFKD", ""),
              Map.entry("Lowercase", ""),
              Map.entry("Nmt", ""),
              Map.entry("ByteLevel", ""),
              Map.entry("Precompiled", "precompiled_charsmap:charsmap"),
              Map.entry("Replace", "pattern:pattern content:text"),
              Map.entry("Prepend", "prepend:name"),
              Map.entry("Sequence", "normalizers:normalizer")),
          "pre_tokenizer",
          Map.ofEntries(
              Map.entry("BertPreTokenizer", ""),
              Map.entry("Whitespace", ""),
              Map.entry("WhitespaceSplit", ""),
              Map.entry("UnicodeScripts", ""),
              Map.entry("ByteLevel", "add_prefix_space:bool trim_offsets:bool use_regex?:bool"),
              Map.entry("CharDelimiterSplit", "delimiter:character"),
              Map.entry(
                  "Metaspace",
                  "replacement:character add_prefix_space?:bool prepend_scheme?:scheme split?:bool"
                      + " str_rep?:text"),
              Map.entry("Split", "pattern:pattern behavior:behavior invert:bool"),
              Map.entry("Punctuation", "behavior?:behavior"),
              Map.entry("Digits", "individual_digits:bool"),
              Map.entry("FixedLength", "length?:size"),
              Map.entry("Sequence", "pretokenizers:pre_tokenizer")),
          "decoder",
          Map.of(
              "BPEDecoder",
              "suffix:name",
              "ByteLevel",
              "add_prefix_space:bool trim_offsets:bool use_regex?:bool",
              "WordPiece",
              "prefix:text cleanup:bool",
              "Metaspace",
              "replacement:character add_prefix_space?:bool prepend_scheme?:scheme split?:bool"
                  + " str_rep?:text",
              "Replace",
              "pattern:pattern content:text",
              "Fuse",
              "",
              "ByteFallback",
              "",
              "Strip",
              "content:character start:count stop:count",
              "Sequence",
              "decoders:decoder"),
          "post_processor",
          Map.of(
              "ByteLevel",
              "add_prefix_space:bool trim_offsets:bool use_regex?:bool",
              "BertProcessing",
              "sep:token cls:token",
              "RobertaProcessing",
              "sep:token cls:token trim_offsets:bool add_prefix_space:bool",
              "TemplateProcessing",
              "single:pieces pair:pieces special_tokens:tokens",
              "Sequence",
              "processors:post_processor"));

  private static final List<String> SCHEMES = List.of("first", "never", "always");
  private static final List<String> BEHAVIORS =
      List.of("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous");

  private static final int MAX_TEXT = 4096; // characters; the longest published pattern has 500
  private static final int MAX_PARTS = 256; // of one Sequence or template

  private final Path file;

  TokenizerParts(Path file) {
    this.file = file;
  }

  /**
   * Checks a section, which may be null.
   *
   * @throws CheckpointException naming the field
   * @throws UnsupportedFormatException naming the type
   */
  void check(String section, @Nullable Object value) {
    if (value != null) part(section, section, value);
  }

  private void part(String section, String place, @Nullable Object value) {
    Map<?, ?> part = object(place, value);
    Object type = part.get("type");
    if (!(type instanceof String name)) throw bad(place + ".type", "the name of a type", type);
    String fields = Objects.requireNonNull(SECTIONS.get(section)).get(name);
    if (fields == null)
      throw new UnsupportedFormatException(
          file + ": " + place + " of type " + Json.quote(name) + " is not supported");
    if (fields.isEmpty()) return;
    for (String field : fields.split(" ")) {
      int colon = field.indexOf(':');
      boolean optional = field.charAt(colon - 1) == '?';
      String key = field.substring(0, optional ? colon - 1 : colon);
      Object content = part.get(key);
      if (content != null || !optional)
        field(field.substring(colon + 1), place + "." + key, content);
    }
    if (name.equals("TemplateProcessing")) template(place, part);
    if (name.equals("Metaspace")) metaspace(place, part);
    if (name.equals("Sequence") && section.equals("post_processor")) processors(place, part);
  }

  private void field(String kind, String place, @Nullable Object value) {
    switch (kind) {
      case "bool" -> require(value instanceof Boolean, place, "true or false", value);
      case "text" -> text(place, value);
      case "name" -> require(!text(place, value).isEmpty(), place, "a text", value);
      case "character" -> {
        String text = text(place, value);
        require(text.codePointCount(0, text.length()) == 1, place, "one character", value);
      }
      case "count" -> count(place, value, 0);
      case "size" -> count(place, value, 1);
      case "scheme" -> requireOneOf(SCHEMES, place, value);
      case "behavior" -> requireOneOf(BEHAVIORS, place, value);
      case "pattern" -> pattern(place, value);
      case "charsmap" -> {
        if (!(value instanceof String table)) throw bad(place, "a text", value);
        String fault = PrecompiledCharsmap.fault(table);
        require(fault == null, place, "a table of replacements", fault);
      }
      case "token" -> {
        List<?> pair = list(place, value);
        require(pair.size() == 2, place, "a token and its id", value);
        text(place + "[0]", pair.get(0));
        count(place + "[1]", pair.get(1), 0);
      }
      case "pieces" -> list(place, value).forEach(piece -> object(place, piece));
      case "tokens" -> object(place, value);
      default -> { // parts of the same section
        int i = 0;
        for (Object part : list(place, value)) part(kind, place + "[" + i++ + "]", part);
      }
    }
  }

  /** A {@code {"String": text}} or {@code {"Regex": pattern}}. */
  private void pattern(String place, @Nullable Object value) {
    Map<?, ?> pattern = object(place, value);
    require(pattern.size() == 1, place, "a String or a Regex", pattern.keySet());
    if (pattern.containsKey("String")) {
      require(!text(place, pattern.get("String")).isEmpty(), place, "a text", "\"\"");
      return;
    }
    require(pattern.containsKey("Regex"), place, "a String or a Regex", pattern.keySet());
    String regex = text(place, pattern.get("Regex"));
    String fault = PatternCheck.fault(regex);
    require(fault == null, place, "a pattern that takes linear time", fault);
  }

  /** The library fails at the first text if these do not agree. */
  private void metaspace(String place, Map<?, ?> part) {
    boolean contradiction =
        Boolean.FALSE.equals(part.get("add_prefix_space"))
            && !"never".equals(part.get("prepend_scheme"));
    require(
        !contradiction,
        place + ".prepend_scheme",
        "never, as add_prefix_space is false",
        part.get("prepend_scheme"));
  }

  private void template(String place, Map<?, ?> part) {
    Map<?, ?> tokens = object(place, part.get("special_tokens"));
    for (Map.Entry<?, ?> entry : tokens.entrySet()) {
      String name = place + ".special_tokens." + Json.quote(String.valueOf(entry.getKey()));
      Map<?, ?> token = object(name, entry.getValue());
      text(name + ".id", token.get("id"));
      List<?> ids = list(name + ".ids", token.get("ids"));
      for (Object id : ids) count(name + ".ids", id, 0);
      List<?> texts = list(name + ".tokens", token.get("tokens"));
      for (Object text : texts) text(name + ".tokens", text);
      require(ids.size() == texts.size(), name + ".tokens", ids.size() + " tokens", texts.size());
    }
    pieces(place + ".single", list(place, part.get("single")), tokens, List.of("A"));
    pieces(place + ".pair", list(place, part.get("pair")), tokens, List.of("A", "B"));
  }

  private void pieces(String place, List<?> pieces, Map<?, ?> tokens, List<String> sequences) {
    int numTexts = 0;
    for (Object element : pieces) {
      Map<?, ?> piece = object(place, element);
      require(piece.size() == 1, place, "a SpecialToken or a Sequence", piece.keySet());
      boolean isText = piece.containsKey("Sequence");
      Map<?, ?> content = object(place, piece.get(isText ? "Sequence" : "SpecialToken"));
      count(place + ".type_id", content.get("type_id"), 0);
      Object id = content.get("id");
      if (isText) {
        numTexts++;
        requireOneOf(sequences, place, id);
      } else require(tokens.containsKey(id), place, "one of the special_tokens", id);
    }
    require(numTexts == sequences.size(), place, sequences.size() + " Sequence", numTexts);
  }

  /** The library adds tokens around the text once; a second time would end the process. */
  private void processors(String place, Map<?, ?> part) {
    long adding =
        list(place, part.get("processors")).stream()
            .filter(p -> p instanceof Map<?, ?> m && !"ByteLevel".equals(m.get("type")))
            .count();
    require(adding <= 1, place, "at most one processor that adds tokens", adding);
  }

  private Map<?, ?> object(String place, @Nullable Object value) {
    if (value instanceof Map<?, ?> map) return map;
    throw bad(place, "an object", value);
  }

  private List<?> list(String place, @Nullable Object value) {
    if (!(value instanceof List<?> list)) throw bad(place, "a list", value);
    require(list.size() <= MAX_PARTS, place, "at most " + MAX_PARTS + " entries", list.size());
    return list;
  }

  private String text(String place, @Nullable Object value) {
    if (!(value instanceof String text)) throw bad(place, "a text", value);
    require(text.length() <= MAX_TEXT, place, "at most " + MAX_TEXT + " characters", text.length());
    return text;
  }

  private void count(String place, @Nullable Object value, int least) {
    boolean isCount =
        value instanceof Long number && number >= least && number < TokenizerModel.MAX_IDS;
    require(isCount, place, "a number in [" + least + ", " + TokenizerModel.MAX_IDS + ")", value);
  }

  private void requireOneOf(List<String> names, String place, @Nullable Object value) {
    require(value != null && names.contains(value), place, "one of " + names, value);
  }

  private void require(boolean holds, String place, String expected, @Nullable Object found) {
    if (!holds) throw bad(place, expected, found);
  }

  private CheckpointException bad(String place, String expected, @Nullable Object found) {
    return new CheckpointException(file, place, expected, Json.quote(String.valueOf(found)));
  }
}
