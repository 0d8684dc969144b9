package org.winnow.models;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The most bytes of text that one token can stand for, where a tokenizer's file bounds it. No bound
 * exists if something is left out of the text, or if one unknown token stands for a text of any
 * length.
 */
final class TextLimits {
  /** The longest UTF-8 of a canonical composition's parts, divided by its own; measured: 3.5. */
  static final int COMPOSITION = 4;

  private static final int MAX_FACTOR = 64;

  private static final Set<String> REMOVING =
      Set.of("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "CharDelimiterSplit");

  private final TokenizerFile tokens;

  private TextLimits(TokenizerFile tokens) {
    this.tokens = tokens;
  }

  /** The most bytes of UTF-8 that one token stands for; 0 if there is no bound. */
  static long maxBytesPerToken(TokenizerFile tokens) {
    TextLimits limits = new TextLimits(tokens);
    int factor = limits.factor(tokens.section("normalizer"));
    boolean keeps =
        factor > 0
            && limits.keeps(tokens.section("pre_tokenizer"))
            && tokens.added().stream().noneMatch(TokenizerFile.AddedToken::takesSpaces);
    return keeps && limits.knowsAll() ? factor * limits.longest() : 0;
  }

  /** How much shorter a normalizer may make a text; 0 if there is no bound. */
  private int factor(@Nullable Object normalizer) {
    if (normalizer == null) return 1;
    Map<?, ?> part = (Map<?, ?>) normalizer;
    switch (String.valueOf(part.get("type"))) {
      case "Sequence" -> {
        int factor = 1;
        for (Object each : list(part, "normalizers")) {
          factor *= factor(each);
          if (factor > MAX_FACTOR) return 0;
        }
        return factor;
      }
      case "Prepend" -> {
        return 1;
      }
      case "NFC" -> {
        return COMPOSITION;
      }
      case "Replace" -> {
        boolean grows =
            part.get("pattern") instanceof Map<?, ?> pattern
                && pattern.get("String") instanceof String old
                && bytes(old) <= bytes(String.valueOf(part.get("content")));
        return grows ? 1 : 0;
      }
      default -> {
        return 0;
      }
    }
  }

  private boolean keeps(@Nullable Object preTokenizer) {
    if (preTokenizer == null) return true;
    Map<?, ?> part = (Map<?, ?>) preTokenizer;
    String type = String.valueOf(part.get("type"));
    if (type.equals("Sequence")) return list(part, "pretokenizers").stream().allMatch(this::keeps);
    return !REMOVING.contains(type) && !"Removed".equals(part.get("behavior"));
  }

  /** Whether every character has a token, or an unknown token of its own. */
  private boolean knowsAll() {
    TokenizerModel model = tokens.model();
    boolean isPlain =
        model.text("continuing_subword_prefix").isEmpty()
            && model.text("end_of_word_suffix").isEmpty();
    return switch (model.type()) {
      case "BPE" ->
          isPlain
              && (hasByteLevel()
                  || hasByteFallback()
                  || (!model.text("unk_token").isEmpty() && !model.flag("fuse_unk")));
      case "Unigram" -> hasByteFallback();
      default -> false;
    };
  }

  private boolean hasByteFallback() {
    for (int value = 0; value < 256; value++)
      if (!tokens.model().vocabulary().containsKey(String.format("<0x%02X>", value))) return false;
    return tokens.model().flag("byte_fallback");
  }

  private boolean hasByteLevel() {
    for (String character : ByteAlphabet.characters())
      if (!tokens.model().vocabulary().containsKey(character)) return false;
    return usesByteLevel();
  }

  /** Whether the model sees a character for each byte. */
  private boolean usesByteLevel() {
    return isByteLevel(tokens.section("pre_tokenizer"));
  }

  private static boolean isByteLevel(@Nullable Object preTokenizer) {
    if (preTokenizer == null) return false;
    Map<?, ?> part = (Map<?, ?>) preTokenizer;
    return "ByteLevel".equals(part.get("type"))
        || ("Sequence".equals(part.get("type"))
            && list(part, "pretokenizers").stream().anyMatch(TextLimits::isByteLevel));
  }

  private long longest() {
    long longest = 4; // an unknown token stands for one character
    boolean isByteLevel = usesByteLevel();
    for (String token : tokens.model().vocabulary().keySet())
      longest = Math.max(longest, isByteLevel ? token.length() : bytes(token));
    for (TokenizerFile.AddedToken token : tokens.added())
      longest = Math.max(longest, bytes(token.content()));
    return longest;
  }

  private static List<?> list(Map<?, ?> part, String key) {
    return part.get(key) instanceof List<?> list ? list : List.of();
  }

  private static int bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  /** The bytes of a text in UTF-8; half a character counts as a question mark. */
  static long utf8Bytes(CharSequence text) {
    long bytes = 0;
    for (int at = 0, next; at < text.length(); at = next) {
      next = nextCharacter(text, at);
      bytes += utf8Bytes(text, at, next);
    }
    return bytes;
  }

  /** The index behind the character that begins at an index. */
  static int nextCharacter(CharSequence text, int at) {
    boolean isPair =
        Character.isHighSurrogate(text.charAt(at))
            && at + 1 < text.length()
            && Character.isLowSurrogate(text.charAt(at + 1));
    return isPair ? at + 2 : at + 1;
  }

  /** The bytes of the character in {@code [at, next)}. */
  static int utf8Bytes(CharSequence text, int at, int next) {
    char c = text.charAt(at);
    if (next - at == 2) return 4;
    return c < 0x80 || Character.isSurrogate(c) ? 1 : c < 0x800 ? 2 : 3;
  }
}
