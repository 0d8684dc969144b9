package org.winnow.models;

import org.jspecify.annotations.Nullable;

/**
 * Converts token ids, one at a time, to text that can be shown immediately. All pieces together are
 * exactly the text that {@link Tokenizer#decode} gives for all ids.
 *
 * <p>A token alone does not always have a text. It may hold only some of a character's UTF-8 bytes.
 * A space at the beginning of a word may depend on the word before. So the stream works on the
 * bytes of the tokens and keeps its place in the text. It holds back what later tokens may change:
 * the bytes of an incomplete character, a space that would be dropped at the end. A character
 * belongs to the token that completes it. Bytes that cannot become a character are shown as U+FFFD,
 * with the token that rules the character out. Not thread-safe.
 */
public final class TextStream {
  private final TokenDecoder decoder;
  private final DecoderStage[] stages;
  private final boolean skipSpecialTokens;
  private final Runnable requireOpen;
  private StringBuilder piece = new StringBuilder();
  private boolean ended;

  TextStream(TokenDecoder decoder, boolean skipSpecialTokens, Runnable requireOpen) {
    this.decoder = decoder;
    this.stages = decoder.newStages();
    this.skipSpecialTokens = skipSpecialTokens;
    this.requireOpen = requireOpen;
  }

  /**
   * Adds a token. An id that is not in the vocabulary has no text.
   *
   * @return the text that this token completes; empty while a character is incomplete, or if the
   *     token has no text
   * @throws IllegalArgumentException if the id is negative
   * @throws IllegalStateException after {@link #finish()}, or if the tokenizer is closed
   */
  public String append(int id) {
    add(id);
    return taken();
  }

  /**
   * Adds tokens whose text is known, such as a prompt. What they complete is not returned by a
   * later call.
   *
   * @throws IllegalArgumentException if an id is negative
   * @throws IllegalStateException after {@link #finish()}, or if the tokenizer is closed
   */
  public void skip(int... ids) {
    for (int id : ids) {
      add(id);
      piece.setLength(0);
    }
  }

  void add(int id) {
    if (ended) throw new IllegalStateException("the text has ended");
    requireOpen.run();
    @Nullable String token = decoder.text(id, skipSpecialTokens);
    if (token != null) pass(0, token);
  }

  /**
   * Ends the text: there are no more tokens.
   *
   * @return what was held back. Bytes of an incomplete character become U+FFFD. Empty if the text
   *     has ended before
   */
  public String finish() {
    if (ended) return "";
    ended = true;
    for (int i = 0; i < stages.length; i++) {
      int next = i + 1;
      stages[i].end(text -> pass(next, text));
    }
    return taken();
  }

  private void pass(int stage, String text) {
    if (stage == stages.length) piece.append(text);
    else stages[stage].take(text, passed -> pass(stage + 1, passed));
  }

  String taken() {
    String text = piece.toString();
    piece = new StringBuilder();
    return text;
  }
}
