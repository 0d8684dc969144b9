package org.winnow.cli;

import java.util.ArrayList;
import java.util.List;
import org.winnow.models.Cancellation;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GeneratedToken;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.TokenListener;

/**
 * Receives the tokens of a generation: shows each as it comes, if it has a form for it, and keeps
 * their log probabilities. Ends the generation when the output can no longer be written.
 */
class TokenOutput implements TokenListener {
  private final Terminal terminal;
  private final Cancellation cancellation;
  private final List<GeneratedToken> withLogprobs = new ArrayList<>();
  private boolean broken;

  TokenOutput(Terminal terminal, Cancellation cancellation) {
    this.terminal = terminal;
    this.cancellation = cancellation;
  }

  @Override
  public final void onToken(int id, String text) {
    onToken(new GeneratedToken(id, text, null));
  }

  @Override
  public final void onToken(GeneratedToken token) {
    if (token.logprobs() != null) withLogprobs.add(token);
    show(token);
  }

  /** Shows a token. */
  void show(GeneratedToken token) {}

  /** Ends what {@link #show} has begun. */
  void end() {}

  final void print(String text) {
    terminal.out().print(text);
    if (terminal.outIsBroken()) {
      broken = true;
      cancellation.cancel();
    }
  }

  /** Generates with this listener. Then ends the output, even if the generation fails. */
  final GenerationResult generate(LanguageModel model, int[] promptIds, GenerateOptions options) {
    try {
      return model.generate(promptIds, options.withCancellation(cancellation), this);
    } finally {
      end();
      broken |= terminal.outIsBroken();
    }
  }

  /** The tokens, if their log probabilities were asked for; else none. */
  final List<GeneratedToken> withLogprobs() {
    return withLogprobs;
  }

  /** Whether writing to the output failed, usually because its reader has exited. */
  final boolean isBroken() {
    return broken;
  }
}
