package org.winnow.models;

import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/**
 * One step of the conversion of tokens to text, with the state of one text. Before the tokens are
 * fused, each call takes the text of one token; behind that, the next part of the only text. What
 * later calls may change is held back. The steps are those of the Hugging Face tokenizers library
 * 0.21.4 ({@code src/decoders}).
 */
interface DecoderStage {
  void take(String text, Consumer<String> next);

  /** Passes on what was held back, at the end of the text. */
  default void end(Consumer<String> next) {}

  /** Each character of a token stands for a byte; other tokens are taken as they are. */
  final class ByteLevel implements DecoderStage {
    private final Utf8Stream bytes = new Utf8Stream(false);

    @Override
    public void take(String text, Consumer<String> next) {
      StringBuilder out = new StringBuilder();
      if (ByteAlphabet.covers(text)) {
        for (int i = 0; i < text.length(); i++) bytes.take(ByteAlphabet.value(text.charAt(i)), out);
      } else {
        for (byte value : text.getBytes(StandardCharsets.UTF_8)) bytes.take(value & 0xff, out);
      }
      if (!out.isEmpty()) next.accept(out.toString());
    }

    @Override
    public void end(Consumer<String> next) {
      StringBuilder out = new StringBuilder();
      bytes.end(out);
      if (!out.isEmpty()) next.accept(out.toString());
    }
  }

  /**
   * Tokens such as {@code <0xE2>} are bytes. The library replaces every byte of a run that is not
   * UTF-8 as a whole, so it cannot say anything before the run ends. Here each character is passed
   * on as soon as it is complete, and only the bytes that are part of none are replaced.
   */
  final class ByteFallback implements DecoderStage {
    private final Utf8Stream bytes = new Utf8Stream(true);

    @Override
    public void take(String text, Consumer<String> next) {
      StringBuilder out = new StringBuilder();
      int value = byteOf(text);
      if (value >= 0) bytes.take(value, out);
      else bytes.end(out);
      if (!out.isEmpty()) next.accept(out.toString());
      if (value < 0) next.accept(text);
    }

    @Override
    public void end(Consumer<String> next) {
      StringBuilder out = new StringBuilder();
      bytes.end(out);
      if (!out.isEmpty()) next.accept(out.toString());
    }

    /** The byte that a token stands for, or -1. */
    static int byteOf(String token) {
      if (token.length() != 6 || !token.startsWith("<0x") || token.charAt(5) != '>') return -1;
      int high = Character.digit(token.charAt(3), 16);
      int low = Character.digit(token.charAt(4), 16);
      boolean isAscii = token.charAt(3) < 0x80 && token.charAt(4) < 0x80;
      if (isAscii && token.charAt(3) == '+') high = 0; // as the library's parser of numbers does
      return isAscii && high >= 0 && low >= 0 ? high << 4 | low : -1;
    }
  }

  /** Replaces a text inside each token. */
  record Replace(String pattern, String content) implements DecoderStage {
    @Override
    public void take(String text, Consumer<String> next) {
      next.accept(text.replace(pattern, content));
    }
  }

  /** Replaces a text; holds back an end that may be the beginning of it. */
  final class ReplaceInParts implements DecoderStage {
    private final String pattern;
    private final String content;
    private String held = "";

    ReplaceInParts(String pattern, String content) {
      this.pattern = pattern;
      this.content = content;
    }

    @Override
    public void take(String text, Consumer<String> next) {
      String all = held + text;
      int last = all.lastIndexOf(pattern);
      StringBuilder out = new StringBuilder();
      int done = 0;
      if (last >= 0) {
        for (int at; (at = all.indexOf(pattern, done)) >= 0; done = at + pattern.length())
          out.append(all, done, at).append(content);
      }
      int end = Math.max(done, all.length() - pattern.length() + 1);
      while (!pattern.startsWith(all.substring(end))) end++;
      out.append(all, done, end);
      held = all.substring(end);
      if (!out.isEmpty()) next.accept(out.toString());
    }

    @Override
    public void end(Consumer<String> next) {
      if (!held.isEmpty()) next.accept(held);
      held = "";
    }
  }

  /** Removes up to some characters from the beginning of each token and from its end. */
  record Strip(int content, int start, int stop) implements DecoderStage {
    @Override
    public void take(String text, Consumer<String> next) {
      StripInParts parts = new StripInParts(content, start, stop);
      StringBuilder out = new StringBuilder();
      parts.take(text, out::append);
      next.accept(out.toString());
    }
  }

  /** Removes up to some characters from the beginning and from the end of the text. */
  final class StripInParts implements DecoderStage {
    private final int content;
    private final int stop;
    private int start; // characters that may still be removed from the beginning
    private int held; // characters that are removed if nothing follows

    StripInParts(int content, int start, int stop) {
      this.content = content;
      this.start = start;
      this.stop = stop;
    }

    @Override
    public void take(String text, Consumer<String> next) {
      StringBuilder out = new StringBuilder();
      text.codePoints()
          .forEach(
              character -> {
                if (character != content) {
                  start = 0;
                  for (; held > 0; held--) out.appendCodePoint(content);
                  out.appendCodePoint(character);
                } else if (start > 0) start--;
                else if (held < stop) held++;
                else out.appendCodePoint(content);
              });
      if (!out.isEmpty()) next.accept(out.toString());
    }
  }

  /** A character stands for the space before a word; the first word has none. */
  final class Metaspace implements DecoderStage {
    private final String replacement;
    private boolean isFirst;

    Metaspace(String replacement, boolean dropsFirst) {
      this.replacement = replacement;
      this.isFirst = dropsFirst;
    }

    @Override
    public void take(String text, Consumer<String> next) {
      next.accept(text.replace(replacement, isFirst ? "" : " "));
      isFirst = false;
    }
  }

  /** A prefix marks the tokens that continue a word. */
  final class WordPiece implements DecoderStage {
    private static final String[] CLEANED = {
      " .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m", " do not",
      " don't", " 's", "'s", " 've", "'ve", " 're", "'re"
    };

    private final String prefix;
    private final boolean cleans;
    private boolean isFirst = true;

    WordPiece(String prefix, boolean cleans) {
      this.prefix = prefix;
      this.cleans = cleans;
    }

    @Override
    public void take(String text, Consumer<String> next) {
      String word = text;
      if (!isFirst) word = text.startsWith(prefix) ? text.substring(prefix.length()) : " " + text;
      isFirst = false;
      for (int i = 0; cleans && i < CLEANED.length; i += 2)
        word = word.replace(CLEANED[i], CLEANED[i + 1]);
      next.accept(word);
    }
  }

  /** A suffix marks the tokens that end a word; a space replaces it unless the text ends. */
  final class WordEnd implements DecoderStage {
    private final String suffix;
    private String held = ""; // the last token from its first suffix on

    WordEnd(String suffix) {
      this.suffix = suffix;
    }

    @Override
    public void take(String text, Consumer<String> next) {
      int end = text.indexOf(suffix);
      String known = end < 0 ? text : text.substring(0, end);
      next.accept(held.replace(suffix, " ") + known);
      held = text.substring(known.length());
    }

    @Override
    public void end(Consumer<String> next) {
      next.accept(held.replace(suffix, ""));
      held = "";
    }
  }

  /** Without a decoder, a space lies between two tokens. */
  final class Spaces implements DecoderStage {
    private boolean isFirst = true;

    @Override
    public void take(String text, Consumer<String> next) {
      next.accept(isFirst ? text : " " + text);
      isFirst = false;
    }
  }
}
