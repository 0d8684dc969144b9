package org.winnow.models;

/** Receives each token of a generation as soon as it is chosen, on the thread that generates. */
@FunctionalInterface
public interface TokenListener {
  /** Ignores the tokens; the {@link GenerationResult} has them all. */
  TokenListener NONE = (id, text) -> {};

  /**
   * Called once per new token. An exception ends the generation and is thrown by {@code generate}.
   * The model and the session stay usable. It may generate in other sessions, and close them. Its
   * own session and the model refuse both with {@link IllegalStateException}.
   *
   * @param id the token
   * @param text the text that this token completes; empty while a character is incomplete, and if
   *     the model has no tokenizer
   */
  void onToken(int id, String text);
}
