package org.winnow.models;

import java.util.Arrays;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Converts token ids, one at a time, to text that can be shown immediately.
 *
 * <p>A token alone does not always have a text. It may hold only some of a character's UTF-8 bytes.
 * A space at the beginning of a word depends on the word before. So each call decodes the tokens of
 * the last piece of text together with the new ones and returns the text that is new. It returns
 * nothing while the text ends in the middle of a character. All pieces together are the text of all
 * ids. Not thread-safe.
 */
public final class TextStream {
  private static final String REPLACEMENT = "\uFFFD"; // the text of incomplete bytes

  /**
   * Number of tokens after which an incomplete character is returned as U+FFFD. A character has at
   * most 4 bytes, so it would be complete after 4 tokens.
   */
  private static final int MAX_PENDING = 16;

  /** Number of prompt tokens that are decoded again before the first new token. */
  private static final int MAX_CONTEXT = 8;

  /** Number of single tokens' texts that are kept: a text repeats its tokens. */
  private static final int NUM_TEXTS = 1024;

  private final Function<int[], String> decoder;
  private final @Nullable String[] texts = new @Nullable String[NUM_TEXTS];
  private final int[] textIds = new int[NUM_TEXTS]; // the token of each text
  private int[] window; // tokens whose text was returned, then tokens whose text was not
  private int length;
  private int shown; // number of tokens in the window whose text was returned

  TextStream(Function<int[], String> decoder, int[] context) {
    this.decoder = decoder;
    window =
        Arrays.copyOf(
            Arrays.copyOfRange(context, Math.max(0, context.length - MAX_CONTEXT), context.length),
            MAX_CONTEXT + MAX_PENDING);
    length = shown = Math.min(context.length, MAX_CONTEXT);
  }

  /**
   * @return the text that this token completes; empty while a character is incomplete, or if the
   *     token has no text
   */
  public String append(int id) {
    if (length == window.length) window = Arrays.copyOf(window, 2 * length);
    window[length++] = id;
    String text = text(length);
    boolean incomplete = text.endsWith(REPLACEMENT) && length - shown < MAX_PENDING;
    return incomplete ? "" : emit(text);
  }

  /** The text of the remaining tokens. Bytes of an incomplete character become U+FFFD. */
  public String finish() {
    return shown == length ? "" : emit(text(length));
  }

  private String emit(String text) {
    String before = text(shown);
    int common = 0; // less than `before` if that ended in the middle of a character
    while (common < before.length()
        && common < text.length()
        && before.charAt(common) == text.charAt(common)) {
      common++;
    }
    String piece = text.substring(common);
    if (!piece.isEmpty()) {
      System.arraycopy(window, shown, window, 0, length - shown);
      length -= shown;
    }
    shown = length;
    return piece;
  }

  private String text(int count) {
    if (count != 1 || window[0] < 0) return decoder.apply(Arrays.copyOf(window, count));
    int id = window[0];
    int place = id % NUM_TEXTS;
    if (texts[place] == null || textIds[place] != id) {
      texts[place] = decoder.apply(new int[] {id});
      textIds[place] = id;
    }
    return texts[place];
  }
}
