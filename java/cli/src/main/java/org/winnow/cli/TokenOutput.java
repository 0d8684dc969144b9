package org.winnow.cli;

import org.winnow.models.Cancellation;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.TokenListener;

/**
 * Shows tokens as they are generated. Ends the generation when the output can no longer be written.
 */
abstract class TokenOutput implements TokenListener {
  private final Terminal terminal;
  private final Cancellation cancellation;
  private boolean broken;

  TokenOutput(Terminal terminal, Cancellation cancellation) {
    this.terminal = terminal;
    this.cancellation = cancellation;
  }

  /** Ends what {@link #onToken} has begun. */
  abstract void end();

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
      return model.generate(promptIds, options, this);
    } finally {
      end();
      broken |= terminal.outIsBroken();
    }
  }

  /** Whether writing to the output failed, usually because its reader has exited. */
  final boolean isBroken() {
    return broken;
  }
}
