package org.winnow.models;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.winnow.UnsupportedFormatException;

/** How the tokens of a tokenizer.json become text: the steps of its {@code decoder}. */
final class TokenDecoder {
  private final TokenizerFile tokens;
  private final List<Supplier<DecoderStage>> stages = new ArrayList<>();
  private boolean isFused; // behind the steps so far, all tokens are one
  private boolean isRun; // behind them, one token may come in parts

  /**
   * @throws UnsupportedFormatException if the decoder has steps in an order that cannot be computed
   *     while tokens arrive
   */
  TokenDecoder(TokenizerFile tokens) {
    this.tokens = tokens;
    Map<?, ?> decoder = tokens.section("decoder");
    if (decoder == null) stages.add(DecoderStage.Spaces::new);
    else add(decoder);
  }

  private void add(Map<?, ?> part) {
    String type = text(part, "type");
    boolean keepsParts =
        switch (type) {
          case "Sequence", "Fuse", "Replace" -> true;
          case "Strip" -> isFused;
          default -> false;
        };
    if ((isFused || isRun) && !keepsParts)
      throw new UnsupportedFormatException(
          tokens.file()
              + ": a decoder with "
              + type
              + " behind Fuse, ByteLevel or ByteFallback is"
              + " not supported");
    switch (type) {
      case "Sequence" -> ((List<?>) get(part, "decoders")).forEach(each -> add((Map<?, ?>) each));
      case "Fuse" -> isFused = true;
      case "ByteLevel" -> {
        stages.add(DecoderStage.ByteLevel::new);
        isFused = true;
      }
      case "ByteFallback" -> {
        stages.add(DecoderStage.ByteFallback::new);
        isRun = true;
      }
      case "Replace" -> addReplace(part);
      case "Strip" -> {
        int character = text(part, "content").codePointAt(0);
        int start = ((Long) get(part, "start")).intValue();
        int stop = ((Long) get(part, "stop")).intValue();
        if (isFused) stages.add(() -> new DecoderStage.StripInParts(character, start, stop));
        else stages.add(() -> new DecoderStage.Strip(character, start, stop));
      }
      case "Metaspace" -> {
        String replacement = text(part, "replacement");
        boolean never =
            "never".equals(part.get("prepend_scheme"))
                || Boolean.FALSE.equals(part.get("add_prefix_space"));
        stages.add(() -> new DecoderStage.Metaspace(replacement, !never));
      }
      case "WordPiece" -> {
        String prefix = text(part, "prefix");
        boolean cleans = Boolean.TRUE.equals(part.get("cleanup"));
        stages.add(() -> new DecoderStage.WordPiece(prefix, cleans));
      }
      default -> { // BPEDecoder
        String suffix = text(part, "suffix");
        stages.add(() -> new DecoderStage.WordEnd(suffix));
      }
    }
  }

  private void addReplace(Map<?, ?> part) {
    Map<?, ?> pattern = (Map<?, ?>) get(part, "pattern");
    if (!(pattern.get("String") instanceof String old))
      throw new UnsupportedFormatException(
          tokens.file() + ": a decoder that replaces a Regex is not supported");
    String content = text(part, "content");
    if (isFused) stages.add(() -> new DecoderStage.ReplaceInParts(old, content));
    else if (isRun && old.codePointCount(0, old.length()) > 1)
      throw new UnsupportedFormatException(
          tokens.file()
              + ": a decoder that replaces "
              + Json.quote(old)
              + " behind ByteFallback is"
              + " not supported");
    else stages.add(() -> new DecoderStage.Replace(old, content));
  }

  private static Object get(Map<?, ?> part, String key) {
    return Objects.requireNonNull(part.get(key)); // TokenizerParts has checked it
  }

  private static String text(Map<?, ?> part, String key) {
    return (String) get(part, key);
  }

  /** The steps with the state of a new text. */
  DecoderStage[] newStages() {
    return stages.stream().map(Supplier::get).toArray(DecoderStage[]::new);
  }

  /** The token of an id, or null if it has none or is left out. */
  @Nullable String text(int id, boolean skipSpecialTokens) {
    if (id < 0) throw new IllegalArgumentException("ids must not be negative, found " + id);
    return skipSpecialTokens && tokens.isSpecial(id) ? null : tokens.text(id);
  }
}
