package org.winnow.models;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The text of a generation and the way of its tokens to the listener. A token waits while its text
 * may be the beginning of a stop text.
 */
final class TokenDelivery {
  /** A token that has not been delivered, and where its text begins and ends. */
  private record Waiting(int id, @Nullable TokenLogprobs logprobs, int begin, int end) {}

  private final TokenListener listener;
  private final StopText stop;
  private final StringBuilder text = new StringBuilder();
  private final Deque<Waiting> waiting = new ArrayDeque<>();

  TokenDelivery(List<String> stopTexts, TokenListener listener) {
    this.listener = listener;
    stop = new StopText(stopTexts);
  }

  /**
   * Adds a token and delivers the tokens whose text is certain.
   *
   * @param piece the text that the token completes
   * @return whether a stop text ends the text here
   */
  boolean accept(TokenChooser.Choice token, String piece) {
    int begin = text.length();
    int certain = stop.append(piece);
    text.append(piece);
    waiting.add(new Waiting(token.id(), token.logprobs(), begin, text.length()));
    if (stop.isFound()) text.setLength(certain);
    else while (!waiting.isEmpty() && waiting.element().end <= certain) deliver(waiting.remove());
    return stop.isFound();
  }

  /** Ends the text and delivers the tokens that wait. */
  void finish() {
    while (!waiting.isEmpty()) deliver(waiting.remove());
  }

  private void deliver(Waiting token) {
    int end = Math.min(token.end, text.length());
    String piece = text.substring(Math.min(token.begin, end), end);
    listener.onToken(new GeneratedToken(token.id, piece, token.logprobs));
  }

  /** The text so far. */
  String text() {
    return text.toString();
  }
}
