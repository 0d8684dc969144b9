package org.winnow.cli;

import org.winnow.models.Cancellation;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.TokenListener;

/**
 * Prints tokens as they are generated. Ends the generation when the output can no longer be
 * written.
 */
final class TokenPrinter implements TokenListener {
  private final Terminal terminal;
  private final boolean asIds;
  private final Cancellation cancellation;
  private boolean begun;
  private boolean lineEnded;
  private boolean broken;

  TokenPrinter(Terminal terminal, boolean asIds, Cancellation cancellation) {
    this.terminal = terminal;
    this.asIds = asIds;
    this.cancellation = cancellation;
  }

  @Override
  public void onToken(int id, String text) {
    if (asIds) terminal.out().print((begun ? "," : "") + id);
    else terminal.out().print(text);
    begun = true;
    if (!text.isEmpty()) lineEnded = !asIds && text.endsWith("\n");
    if (terminal.outIsBroken()) {
      broken = true;
      cancellation.cancel();
    }
  }

  /**
   * Generates with this listener. Then ends the last line if the text has not, even if the
   * generation fails.
   */
  GenerationResult generate(LanguageModel model, int[] promptIds, GenerateOptions options) {
    try {
      return model.generate(promptIds, options, this);
    } finally {
      if (begun && !lineEnded) terminal.out().println();
      broken |= terminal.outIsBroken();
    }
  }

  /** Whether writing to the output failed, usually because its reader has exited. */
  boolean isBroken() {
    return broken;
  }
}
