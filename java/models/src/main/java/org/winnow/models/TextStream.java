package org.winnow.models;

import java.util.Arrays;
import java.util.function.Function;

/**
 * Turns token ids, one after the other, into text that can be shown at once.
 *
 * <p>A token alone does not always have a text: it may hold a part of a character's UTF-8 bytes,
 * and whether a word begins with a space is seen only behind the word before. So each step decodes
 * the tokens since the last text but one and hands out what is new, but nothing that ends in the
 * middle of a character. All pieces together are the text of all ids. Not for use from several
 * threads.
 */
public final class TextStream {
  private static final String REPLACEMENT = "\uFFFD"; // what incomplete bytes decode to

  /**
   * A character has at most 4 bytes, so at most 4 tokens: what is still incomplete after more will
   * never be complete.
   */
  private static final int MAX_PENDING = 16;

  /** Tokens of the prompt that are decoded again before the first new one. */
  private static final int MAX_CONTEXT = 8;

  private final Function<int[], String> decoder;
  private int[] window; // tokens whose text is out, then those whose text is not
  private int length;
  private int shown; // tokens of the window whose text is out

  TextStream(Function<int[], String> decoder, int[] context) {
    this.decoder = decoder;
    window =
        Arrays.copyOf(
            Arrays.copyOfRange(context, Math.max(0, context.length - MAX_CONTEXT), context.length),
            MAX_CONTEXT + MAX_PENDING);
    length = shown = Math.min(context.length, MAX_CONTEXT);
  }

  /**
   * @return the text that this token completes; empty while a character is incomplete or if the
   *     token is no text
   */
  public String append(int id) {
    if (length == window.length) window = Arrays.copyOf(window, 2 * length);
    window[length++] = id;
    String text = text(length);
    boolean incomplete = text.endsWith(REPLACEMENT) && length - shown < MAX_PENDING;
    return incomplete ? "" : emit(text);
  }

  /** What is left at the end: the bytes of an incomplete character, as U+FFFD. */
  public String finish() {
    return shown == length ? "" : emit(text(length));
  }

  private String emit(String text) {
    String before = text(shown);
    int common = 0; // less than what came before if that ended within a character
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
    return decoder.apply(Arrays.copyOf(window, count));
  }
}
