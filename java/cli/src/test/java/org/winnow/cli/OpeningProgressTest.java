package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;

class OpeningProgressTest {
  /** What is shown while the shipped model opens. */
  private static String shown(boolean onTerminal, long momentNanos) {
    StringWriter err = new StringWriter();
    Terminal terminal =
        new Terminal(
            InputStream.nullInputStream(),
            new PrintWriter(OutputStream.nullOutputStream()),
            OutputStream.nullOutputStream(),
            new PrintWriter(err),
            onTerminal,
            onTerminal);
    try (OpeningProgress progress = new OpeningProgress(terminal, momentNanos);
        LanguageModel model =
            LanguageModel.open(Shipped.MODEL, LoadOptions.defaults().withProgress(progress))) {
      assertThat(model.residentWeightBytes()).isPositive();
    }
    return err.toString();
  }

  @Test
  void aBarShowsHowFarItIsAndIsRemoved() {
    assertThat(shown(true, 0)).contains("\ropening", "MiB").endsWith("\r").doesNotContain("\n");
  }

  @Test
  void whatIsDoneInAMomentOrIsNoTerminalShowsNothing() {
    assertThat(shown(true, Long.MAX_VALUE)).isEmpty();
    assertThat(shown(false, 0)).isEmpty();
  }
}
