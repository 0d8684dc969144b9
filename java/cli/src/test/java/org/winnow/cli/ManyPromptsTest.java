package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One process that continues a thousand prompts needs no more at the end than at the beginning. */
class ManyPromptsTest {
  private static final int WARM_UP = 100; // lines, in which the JVM compiles what runs often
  private static final int LINES = 1000;

  /**
   * Less than 3 KiB for each of the 900 lines; 0.5 MiB in all were measured. A session has 2 MiB of
   * keys and values.
   */
  private static final long TOLERANCE_BYTES = 2 << 20;

  /**
   * The heap has one size from the beginning, so that resident memory shows what lies outside of
   * it. The second compiler is off: while it works, it takes up to 16 MiB, which it gives back
   * later.
   */
  private static final List<String> JAVA_OPTIONS =
      List.of(
          "-Xms128m",
          "-Xmx128m",
          "-XX:+AlwaysPreTouch",
          "-XX:+UseSerialGC",
          "-XX:TieredStopAtLevel=1");

  @TempDir Path folder;

  @Test
  void neitherMemoryNorDescriptorsGrow() throws Exception {
    Path err = folder.resolve("err");
    Process process =
        CommandProcess.of(
                JAVA_OPTIONS,
                List.of(
                    "generate",
                    Shipped.MODEL.toString(),
                    "--prompts",
                    "-",
                    "--max-tokens",
                    "4",
                    "--budget",
                    "50%",
                    "--threads",
                    "1"))
            .redirectError(err.toFile())
            .start();
    try (BufferedWriter prompts = process.outputWriter(StandardCharsets.UTF_8);
        BufferedReader results = process.inputReader(StandardCharsets.UTF_8)) {
      exchange(prompts, results, 0, WARM_UP);
      long descriptors = descriptors(process);
      long memory = residentBytes(process);
      exchange(prompts, results, WARM_UP, LINES);
      long grown = residentBytes(process) - memory;
      System.out.println("grown by " + grown + " bytes from line " + WARM_UP + " to " + LINES);

      assertThat(descriptors(process)).isEqualTo(descriptors);
      assertThat(grown).isLessThanOrEqualTo(TOLERANCE_BYTES);
    }
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(Files.readString(err)).isEqualTo(ExitCode.BAD_INPUT);
  }

  /** Each result is awaited before the next prompt is given. One line in fifty is wrong. */
  private static void exchange(BufferedWriter prompts, BufferedReader results, int begin, int end)
      throws IOException {
    for (int line = begin; line < end; line++) {
      boolean wrong = line % 50 == 0;
      String words = "And it came to pass, ".repeat(1 + line % 7);
      String key = wrong ? "promt" : "prompt";
      prompts.write(
          String.format("{\"%s\": \"%s\", \"seed\": %d, \"id\": %3$d}\n", key, words, line));
      prompts.flush();
      String result = Objects.requireNonNull(results.readLine(), "the command has ended");
      assertThat(result).contains(wrong ? "\"error\":{" : "\"id\":" + line + ",\"ids\":[");
    }
  }

  private static long descriptors(Process process) {
    return Objects.requireNonNull(new File("/proc/" + process.pid() + "/fd").list()).length;
  }

  private static long residentBytes(Process process) throws IOException {
    String pages = Files.readString(Path.of("/proc/" + process.pid() + "/statm")).split(" ")[1];
    return Long.parseLong(pages) * 4096;
  }
}
