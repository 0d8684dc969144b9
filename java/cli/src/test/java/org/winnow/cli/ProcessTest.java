package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command in a separate process, for behaviour that only shows there. */
class ProcessTest {
  /**
   * Generates to the limit of the context: at this temperature the token that ends a text is very
   * unlikely.
   */
  private static final List<String> LONG =
      List.of(
          "generate",
          Shipped.MODEL.toString(),
          "--prompt-ids",
          "0",
          "--temperature",
          "9",
          "--max-tokens",
          "1000");

  @TempDir Path folder;

  private Path err() {
    return folder.resolve("err");
  }

  private Process start(List<String> arguments) throws IOException {
    ProcessBuilder builder = CommandProcess.of(List.of(), arguments).redirectError(err().toFile());
    builder.environment().put("LC_ALL", "C");
    return builder.start();
  }

  private static int exitCode(Process process) throws InterruptedException {
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return process.exitValue();
  }

  @Test
  void exitCodeAndStreamsReachTheShell() throws Exception {
    Process process =
        start(
            List.of(
                "generate",
                Shipped.MODEL.toString(),
                "--prompt-ids",
                "0,48,83",
                "--max-tokens",
                "5",
                "--print-ids"));
    assertThat(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
        .matches("[0-9]+(,[0-9]+){4}\n");
    assertThat(exitCode(process)).isZero();
    assertThat(Files.readString(err()))
        .contains("peak memory")
        .doesNotContain("SLF4J", "WARNING", "Exception");
    Process wrong = start(List.of("inspect", folder.resolve("absent").toString()));
    assertThat(exitCode(wrong)).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(Files.readString(err()).lines()).hasSize(1);
  }

  /** They take 10 to 50 ms. */
  @Test
  void aShortGenerationNeedsNoRecorderAndAssemblesNoMethods() throws Exception {
    List<String> arguments =
        List.of("generate", Shipped.MODEL.toString(), "--prompt-ids", "0", "--max-tokens", "1");
    Process process =
        CommandProcess.of(List.of("-Xlog:class+load"), arguments)
            .redirectError(err().toFile())
            .start();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(exitCode(process)).isZero();
    assertThat(printed)
        .contains("org.winnow.memory.ExpertEvents ")
        .doesNotContain("jdk.jfr.Event ", "java.lang.runtime.ObjectMethods ");
  }

  @Test
  void textIsUtf8WhateverTheLocale() throws Exception {
    Process process = start(LONG);
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(exitCode(process)).as(Files.readString(err())).isZero();
    assertThat(text.chars().filter(c -> c > 127).count())
        .as("random tokens hold letters beyond ASCII")
        .isPositive();
  }

  @Test
  void anInterruptEndsTheGenerationAndLeavesTheSummary() throws Exception {
    // If a shell started this JVM in the background, interrupts are ignored here and in the child.
    boolean ignored = isInterruptIgnored();
    Process process = start(LONG);
    try (InputStream out = process.getInputStream()) {
      assertThat(out.read()).isPositive();
      new ProcessBuilder("kill", ignored ? "-TERM" : "-INT", Long.toString(process.pid()))
          .start()
          .waitFor();
      out.readAllBytes();
    }
    assertThat(exitCode(process)).isEqualTo(ignored ? 143 : ExitCode.CANCELLED);
    assertThat(Files.readString(err()))
        .contains("cancelled", "hit rate", "peak memory")
        .doesNotContain("Exception");
  }

  @Test
  void aSignalLeavesTheLastLineAndTheFigures() throws Exception {
    Path prompts = folder.resolve("prompts.jsonl");
    Files.writeString(prompts, "{\"prompt_ids\": [0], \"max_tokens\": 1000, \"temperature\": 9}\n");
    Path stats = folder.resolve("stats.json");
    List<String> stream = new ArrayList<>(LONG);
    stream.addAll(List.of("--stream", "json", "--stats", stats.toString()));
    List<String> lines =
        List.of(
            "generate",
            Shipped.MODEL.toString(),
            "--prompts",
            prompts.toString(),
            "--stream",
            "json",
            "--stats",
            stats.toString());
    for (List<String> arguments : List.of(stream, lines)) {
      Process process = start(arguments);
      String out;
      try (InputStream in = process.getInputStream()) {
        assertThat(in.read()).isEqualTo('{');
        process.toHandle().destroy(); // which leaves the stream open
        out = "{" + new String(in.readAllBytes(), StandardCharsets.UTF_8);
      }
      assertThat(exitCode(process)).isEqualTo(143);
      List<String> all = out.lines().toList();
      assertThat(all.get(all.size() - 1)).contains("\"finish_reason\":\"cancelled\"").endsWith("}");
      assertThat(JsonTree.parse(Files.readString(stats))).isNotEmpty();
      Files.delete(stats);
    }
  }

  @Test
  void aReaderThatHasGoneEndsTheGenerationQuietly() throws Exception {
    Process process = start(LONG);
    try (InputStream out = process.getInputStream()) {
      assertThat(out.read()).isPositive();
    }
    assertThat(exitCode(process)).isEqualTo(ExitCode.BROKEN_PIPE);
    assertThat(Files.readString(err())).isEmpty();
  }

  @Test
  void aFullDiskIsNoReaderThatHasGone() throws Exception {
    for (List<String> arguments : List.of(List.of("doctor"), LONG)) {
      ProcessBuilder builder =
          CommandProcess.of(List.of(), arguments)
              .redirectError(err().toFile())
              .redirectOutput(new File("/dev/full"));
      builder.environment().put("LC_ALL", "C");
      assertThat(exitCode(builder.start())).isEqualTo(ExitCode.BAD_INPUT);
      assertThat(Files.readString(err()))
          .isEqualTo("winnow: standard output cannot be written: No space left on device\n");
    }
  }

  @Test
  void aFileThatIsCutShortInMidGenerationIsNamed() throws Exception {
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(Shipped.MODEL.resolve(file), folder.resolve(file));
    }
    List<String> arguments = new ArrayList<>(LONG);
    arguments.set(1, folder.toString());
    arguments.addAll(List.of("--budget", "10%"));
    Process process = start(arguments);
    try (InputStream out = process.getInputStream();
        FileChannel model =
            FileChannel.open(folder.resolve("model.safetensors"), StandardOpenOption.WRITE)) {
      assertThat(out.read()).isPositive();
      model.truncate(model.size() / 2);
      byte[] rest = out.readAllBytes();
      assertThat(rest[rest.length - 1]).isEqualTo((byte) '\n');
    }
    assertThat(exitCode(process)).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(Files.readString(err()))
        .startsWith("winnow: " + folder.resolve("model.safetensors"))
        .contains("expected", "found");
    assertThat(Files.readString(err()).lines()).hasSize(1);
  }

  private static boolean isInterruptIgnored() throws IOException {
    String mask =
        Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(line -> line.startsWith("SigIgn:"))
            .findFirst()
            .orElseThrow();
    return (Long.parseUnsignedLong(mask.substring(7).strip(), 16) & 2) != 0;
  }
}
