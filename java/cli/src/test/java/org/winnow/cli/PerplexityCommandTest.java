package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PerplexityCommandTest {
  @TempDir Path folder;

  private Path text;

  @BeforeEach
  void write() throws IOException {
    String heldOut = Files.readString(Shipped.MODEL.resolve("heldout.txt"));
    text = Files.writeString(folder.resolve("text.txt"), heldOut.substring(0, 1500));
  }

  @Test
  void printsFiguresAndHowFarItIs() {
    CapturedRun run =
        CapturedRun.of(
            "perplexity", Shipped.MODEL, text, "--context", 128, "--stride", 64, "--budget", "50%");
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out())
        .containsPattern("perplexity +[0-9]+\\.[0-9]{3} per token")
        .containsPattern("bits per byte +[01]\\.[0-9]{4}")
        .contains("in windows of 128 every 64", "1,487 bytes without special tokens");
    assertThat(run.err()).contains("perplexity: 25 %\n", "perplexity: 100 %\n");
  }

  @Test
  void drawsABarOnATerminal() {
    CapturedRun run = CapturedRun.onTerminal("perplexity", Shipped.MODEL, text, "--context", 128);
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.err()).contains("\rperplexity").endsWith("\r").doesNotContain("\n");
  }

  @Test
  void whatIsWrongIsNamed() throws IOException {
    assertThat(CapturedRun.of("perplexity", Shipped.MODEL, text, "--context", 1).exitCode())
        .isEqualTo(ExitCode.USAGE);
    assertThat(
            CapturedRun.of("perplexity", Shipped.MODEL, text, "--context", 64, "--stride", 64)
                .exitCode())
        .isEqualTo(ExitCode.USAGE);
    assertThat(CapturedRun.of("perplexity", Shipped.MODEL, folder.resolve("absent")).err())
        .contains("no such file");
    assertThat(CapturedRun.of("perplexity", Shipped.golden("mixtral"), text).exitCode())
        .isEqualTo(ExitCode.MISSING);
    Files.write(text, new byte[] {(byte) 0xff, 0x41});
    assertThat(CapturedRun.of("perplexity", Shipped.MODEL, text).err())
        .contains("expected UTF-8 text");
    Files.write(text, new byte[0]);
    CapturedRun empty = CapturedRun.of("perplexity", Shipped.MODEL, text);
    assertThat(empty.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(empty.err())
        .isEqualTo("winnow: " + text + ": expected at least 2 tokens, found 0\n");
  }
}
