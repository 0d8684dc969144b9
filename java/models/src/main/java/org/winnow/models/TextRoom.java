package org.winnow.models;

import org.winnow.ContextLengthException;

/**
 * The room that a context has for a text.
 *
 * @param contextLimit the most tokens of the sequence
 * @param others tokens of the sequence that are not of the text
 */
record TextRoom(int contextLimit, long others) {
  /** Room for any text: no array holds more ids. */
  static final TextRoom UNLIMITED = new TextRoom(Integer.MAX_VALUE, 0);

  /**
   * Requires room for a text.
   *
   * @param ids ids that are known
   * @param bytes of UTF-8 whose ids are not known
   * @param maxBytesPerToken the most bytes that one id stands for; 0 if there is no bound
   * @throws ContextLengthException if the fewest tokens that the text can have do not fit
   */
  void require(long ids, long bytes, long maxBytesPerToken) {
    long fewest = maxBytesPerToken == 0 ? 0 : (bytes + maxBytesPerToken - 1) / maxBytesPerToken;
    long total = others + ids + fewest;
    if (total > contextLimit) throw ContextLengthException.atLeast(contextLimit, total);
  }
}
