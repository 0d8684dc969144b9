package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
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

  /** A model whose last embedding is NaN, and so is the logit of that token. */
  @Test
  void logitsThatSayNothingAreRefused() throws IOException {
    for (String file : List.of("config.json", "tokenizer.json"))
      Files.copy(Shipped.MODEL.resolve(file), folder.resolve(file));
    ByteBuffer weights =
        ByteBuffer.wrap(Files.readAllBytes(Shipped.MODEL.resolve("model.safetensors")))
            .order(ByteOrder.LITTLE_ENDIAN);
    int headerBytes = (int) weights.getLong(0);
    Map<?, ?> header =
        JsonTree.parse(new String(weights.array(), 8, headerBytes, StandardCharsets.UTF_8));
    List<?> range =
        (List<?>) ((Map<?, ?>) header.get("model.embed_tokens.weight")).get("data_offsets");
    int end = 8 + headerBytes + ((Long) range.get(1)).intValue();
    Arrays.fill(weights.array(), end - 2 * 256, end, (byte) 0xff); // bf16
    Files.write(folder.resolve("model.safetensors"), weights.array());
    CapturedRun run = CapturedRun.of("perplexity", folder, text, "--context", 128);
    assertThat(run.exitCode()).as(run.out() + run.err()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .isEqualTo(
            "winnow: logits of token 0: expected no NaN and a finite maximum, found NaN at index 2047\n");
    assertThat(run.out()).isEmpty();
  }

  @Test
  void aTextThatCannotBeCutIsRefusedByName() throws IOException {
    Files.writeString(text, "a".repeat(3 << 20));
    CapturedRun run = CapturedRun.of("perplexity", Shipped.MODEL, text);
    assertThat(run.exitCode()).as(run.err()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .isEqualTo(
            "winnow: "
                + text
                + ": text must have a space behind a word in each 1048576 bytes, found none in those"
                + " after byte 0\n");
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
