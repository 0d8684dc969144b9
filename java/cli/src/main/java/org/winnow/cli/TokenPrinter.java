package org.winnow.cli;

import org.winnow.models.Cancellation;
import org.winnow.models.GeneratedToken;

/** Prints the text of the tokens, or their ids. */
final class TokenPrinter extends TokenOutput {
  private final boolean asIds;
  private boolean begun;
  private boolean lineEnded;

  TokenPrinter(Terminal terminal, boolean asIds, Cancellation cancellation) {
    super(terminal, cancellation);
    this.asIds = asIds;
  }

  @Override
  void show(GeneratedToken token) {
    String text = token.text();
    boolean first = !begun;
    begun = true;
    if (!text.isEmpty()) lineEnded = !asIds && text.endsWith("\n");
    print(asIds ? (first ? "" : ",") + token.id() : text);
  }

  /** Ends the last line if the text has not. */
  @Override
  void end() {
    if (begun && !lineEnded) print(System.lineSeparator());
  }
}
