package org.winnow.models;

import java.util.function.Consumer;

/**
 * Receives each token of a generation, in order, on the thread that generates. A token comes as
 * soon as it is chosen. Only one whose text may be the beginning of a stop text waits until that is
 * decided. The texts of all tokens together are the text of the {@link GenerationResult}.
 */
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
   * @param text as {@link GeneratedToken#text()}
   */
  void onToken(int id, String text);

  /** Called once per new token, with all that is known of it. Calls the other method. */
  default void onToken(GeneratedToken token) {
    onToken(token.id(), token.text());
  }

  /** A listener that receives whole tokens, with log probabilities if these were asked for. */
  static TokenListener ofTokens(Consumer<GeneratedToken> consumer) {
    return new TokenListener() {
      @Override
      public void onToken(int id, String text) {
        onToken(new GeneratedToken(id, text, null));
      }

      @Override
      public void onToken(GeneratedToken token) {
        consumer.accept(token);
      }
    };
  }
}
