package org.winnow.models;

/** Hears each token of a generation as it is chosen, on the thread that generates. */
@FunctionalInterface
public interface TokenListener {
  /** Ignores the tokens; the {@link GenerationResult} has them all. */
  TokenListener NONE = (id, text) -> {};

  /**
   * Called once per new token; an exception ends the generation, reaches the caller of {@code
   * generate} and leaves model and session usable.
   *
   * @param id the token
   * @param text what this token completes: empty while a character is still incomplete, and without
   *     a tokenizer
   */
  void onToken(int id, String text);
}
