package org.winnow.cli;

import org.winnow.models.Cancellation;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.TokenListener;

/** Prints tokens as they come; ends the generation when nobody reads them any more. */
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
   * Generates with this listening; ends the line if the text has not, also when the generation
   * fails.
   */
  GenerationResult generate(LanguageModel model, int[] promptIds, GenerateOptions options) {
    try {
      return model.generate(promptIds, options, this);
    } finally {
      if (begun && !lineEnded) terminal.out().println();
      broken |= terminal.outIsBroken();
    }
  }

  /** Whether the reader has gone. */
  boolean isBroken() {
    return broken;
  }
}
