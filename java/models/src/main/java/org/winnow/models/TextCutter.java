package org.winnow.models;

import java.text.Normalizer;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Finds places where a text can be cut without changing its ids: the ids of the parts, one after
 * the other, are the ids of the whole.
 *
 * <p>A cut lies between a character that is no white space and a space. For tokenizers that first
 * split a text by one of the known patterns, no match contains such a pair in this order, so one
 * ends there, and the next one begins anew. The same holds between a line's end and a letter if one
 * line feed follows a character that is no white space. For tokenizers whose pairs are merged over
 * the whole text, no token of the vocabulary may hold a space's mark behind another character: then
 * no merge crosses the cut. Added tokens must be farther away than their length, because they are
 * found before all else.
 */
final class TextCutter {
  private static final String MARK = "\u2581"; // stands for a space in SentencePiece's vocabularies

  private static final String CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
  private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
  private static final String BEFORE = "[^\\r\\n\\p{L}\\p{N}]?";
  private static final String SPACES = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  /** Patterns that end at a cut. */
  static final Set<String> SPLITTING =
      Set.of(
          words(CONTRACTIONS + "|" + BEFORE + "\\p{L}+", "{1,3}", ""), // Llama 3
          words(CONTRACTIONS + "|" + BEFORE + "\\p{L}+", "", ""), // Qwen 2, Qwen 3
          words(cased(CONTRACTIONS + "?"), "{1,3}", "/"), // gpt-oss
          words(cased(""), "", "/"), // Mistral
          // DeepSeek-V3, its third
          "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"
              + "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*"
              + SPACES,
          // GPT-2, written out
          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");

  private static String words(String letters, String digits, String mark) {
    String others = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n" + mark + "]*";
    return letters + "|\\p{N}" + digits + others + SPACES;
  }

  private static String cased(String end) {
    return BEFORE + UPPER + "*" + LOWER + "+" + end + "|" + BEFORE + UPPER + "+" + LOWER + "*"
        + end;
  }

  /** Patterns that match digits or ideographs only: a cut lies outside their matches. */
  static final Set<String> PASSING =
      Set.of("\\p{N}{1,3}", "\\p{N}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+");

  private final TokenizerFile tokens;
  private final boolean keepsSpace; // whether the second part begins with the space
  private final boolean cutsLines; // whether a cut may lie between a line's end and a letter
  private final boolean isComposed; // whether the normalizer is NFC
  private final int radius; // no added token may lie this close to a cut, in characters

  private TextCutter(
      TokenizerFile tokens, boolean keepsSpace, boolean cutsLines, boolean isComposed) {
    this.tokens = tokens;
    this.keepsSpace = keepsSpace;
    this.cutsLines = cutsLines;
    this.isComposed = isComposed;
    int longest = 0;
    for (TokenizerFile.AddedToken token : tokens.added())
      longest = Math.max(longest, token.content().length());
    this.radius = 2 * longest + 8;
  }

  /** The cutter for a tokenizer, or null if no place is known to be safe. */
  static @Nullable TextCutter of(TokenizerFile tokens) {
    Map<?, ?> normalizer = tokens.section("normalizer");
    boolean isPlain = normalizer == null || isEmptySequence(normalizer);
    boolean isComposed = normalizer != null && "NFC".equals(normalizer.get("type"));
    @Nullable Boolean prepends = isPlain || isComposed ? Boolean.FALSE : prependsMark(normalizer);
    if (prepends == null) return null; // another normalizer
    boolean isMarked = !isPlain && !isComposed;
    for (TokenizerFile.AddedToken token : tokens.added()) {
      boolean isFoundLiterally =
          isPlain || token.content().chars().allMatch(c -> c > ' ' && c < 0x7f);
      if (token.normalized() && !isFoundLiterally) return null;
    }
    Map<?, ?> preTokenizer = tokens.section("pre_tokenizer");
    if (preTokenizer == null || isWhole(preTokenizer))
      return isMarked && mergesEndAtMarks(tokens)
          ? new TextCutter(tokens, !prepends, false, false)
          : null;
    if (isMarked) return null;
    if (isMetaspace(preTokenizer)) return new TextCutter(tokens, true, false, isComposed);
    if (!splits(preTokenizer)) return null;
    return new TextCutter(tokens, true, !addsSpace(preTokenizer), isComposed);
  }

  private static boolean isEmptySequence(Map<?, ?> part) {
    return part.get("normalizers") instanceof List<?> list && list.isEmpty();
  }

  /**
   * Whether spaces become marks and a mark is put before a text; null if something else is done.
   */
  private static @Nullable Boolean prependsMark(@Nullable Map<?, ?> normalizer) {
    if (normalizer == null) return null;
    if (isMarking(normalizer)) return false;
    if (!(normalizer.get("normalizers") instanceof List<?> list)) return null;
    if (list.size() == 1) return isMarking(list.get(0)) ? false : null;
    boolean prepends =
        list.size() == 2
            && list.get(0) instanceof Map<?, ?> first
            && "Prepend".equals(first.get("type"))
            && MARK.equals(first.get("prepend"))
            && isMarking(list.get(1));
    return prepends ? true : null;
  }

  private static boolean isMarking(@Nullable Object normalizer) {
    return normalizer instanceof Map<?, ?> part
        && "Replace".equals(part.get("type"))
        && Map.of("String", " ").equals(part.get("pattern"))
        && MARK.equals(part.get("content"));
  }

  /**
   * Whether a pre-tokenizer leaves a text whole: Gemma's looks for spaces after all are replaced.
   */
  private static boolean isWhole(Map<?, ?> preTokenizer) {
    return "Split".equals(preTokenizer.get("type"))
        && Map.of("String", " ").equals(preTokenizer.get("pattern"));
  }

  private static boolean mergesEndAtMarks(TokenizerFile tokens) {
    if (!tokens.model().type().equals("BPE") || !tokens.model().vocabulary().containsKey(MARK))
      return false;
    for (String token : tokens.model().vocabulary().keySet()) {
      int mark = token.lastIndexOf(MARK);
      if (mark > 0 && !token.startsWith(MARK.repeat(mark))) return false;
    }
    return tokens.model().text("continuing_subword_prefix").isEmpty()
        && tokens.model().text("end_of_word_suffix").isEmpty();
  }

  private static boolean isMetaspace(Map<?, ?> part) {
    return "Metaspace".equals(part.get("type")) && !Boolean.FALSE.equals(part.get("split"));
  }

  /** Whether one of the steps ends at a cut, and no other is unknown. */
  private static boolean splits(Map<?, ?> part) {
    if (!"Sequence".equals(part.get("type"))) return isSplitting(part);
    if (!(part.get("pretokenizers") instanceof List<?> steps)) return false;
    boolean found = false;
    for (Object step : steps) {
      Map<?, ?> each = (Map<?, ?>) step;
      if (isSplitting(each)) found = true;
      else if (!found && !isPassing(each)) return false; // behind a split, parts are on their own
    }
    return found;
  }

  private static boolean isSplitting(Map<?, ?> part) {
    if ("ByteLevel".equals(part.get("type"))) return !Boolean.FALSE.equals(part.get("use_regex"));
    return isIsolating(part, SPLITTING);
  }

  private static boolean isPassing(Map<?, ?> part) {
    return "Digits".equals(part.get("type")) || isIsolating(part, PASSING);
  }

  private static boolean isIsolating(Map<?, ?> part, Set<String> patterns) {
    return "Split".equals(part.get("type"))
        && part.get("pattern") instanceof Map<?, ?> pattern
        && pattern.get("Regex") instanceof String regex
        // some files hold the characters, some their names
        && patterns.contains(regex.replace("\r", "\\r").replace("\n", "\\n"))
        && isEach(part);
  }

  /** Whether the matches become the parts: isolated, or what lies between none is removed. */
  private static boolean isEach(Map<?, ?> part) {
    boolean inverts = Boolean.TRUE.equals(part.get("invert"));
    return inverts
        ? "Removed".equals(part.get("behavior")) || "Isolated".equals(part.get("behavior"))
        : "Isolated".equals(part.get("behavior"));
  }

  private static boolean addsSpace(Map<?, ?> part) {
    if (part.get("pretokenizers") instanceof List<?> steps)
      return steps.stream().anyMatch(step -> addsSpace((Map<?, ?>) step));
    return Boolean.TRUE.equals(part.get("add_prefix_space"));
  }

  /** Whether the second part begins behind the space at a cut. */
  boolean dropsSpace() {
    return !keepsSpace;
  }

  /**
   * The last place in {@code [from, to)} where a text can be cut, or -1. What follows {@code to} in
   * the text must be there by {@link #reach()} characters, unless the text ends before.
   */
  int last(CharSequence text, int from, int to) {
    for (int at = Math.min(to, text.length() - 2); at >= Math.max(from, 2); at--)
      if (isCut(text, at) && isFarFromAdded(text, at)) return at;
    return -1;
  }

  /** Characters around a cut that decide whether it is one. */
  int reach() {
    return radius;
  }

  private boolean isCut(CharSequence text, int at) {
    char before = text.charAt(at - 1);
    char after = text.charAt(at);
    if (after == ' ') return isVisible(before);
    return cutsLines && before == '\n' && isVisible(text.charAt(at - 2)) && isLetter(after);
  }

  /** Characters that are white space in no version of Unicode, and no part of another one. */
  private static boolean isVisible(char c) {
    return (c > ' ' && c < 0x7f) || (c >= 0xa1 && c <= 0x167f && c != 0xad) || isWide(c);
  }

  private static boolean isWide(char c) {
    return (c >= 0x3001 && c <= 0x30ff) || (c >= 0x4e00 && c <= 0x9fa5) || c == 0xff0c;
  }

  private static boolean isLetter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0x4e00 && c <= 0x9fa5);
  }

  private boolean isFarFromAdded(CharSequence text, int at) {
    String around =
        text.subSequence(Math.max(0, at - radius), Math.min(text.length(), at + radius)).toString();
    if (isComposed && !Normalizer.isNormalized(around, Normalizer.Form.NFC)) return false;
    return tokens.added().stream().noneMatch(token -> around.contains(token.content()));
  }
}
