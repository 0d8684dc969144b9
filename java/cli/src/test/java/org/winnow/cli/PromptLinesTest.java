package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PromptLinesTest {
  @TempDir Path folder;

  private static CapturedRun run(String lines, Object... options) {
    Object[] arguments = new Object[options.length + 6];
    System.arraycopy(
        new Object[] {"generate", Shipped.MODEL, "--prompts", "-", "--max-tokens", 4},
        0,
        arguments,
        0,
        6);
    System.arraycopy(options, 0, arguments, 6, options.length);
    return CapturedRun.withInput(lines, arguments);
  }

  private static List<Map<String, Object>> results(CapturedRun run) throws IOException {
    List<Map<String, Object>> results = new ArrayList<>();
    for (String line : run.out().lines().toList()) results.add(cast(JsonTree.parse(line)));
    return results;
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> cast(Map<?, ?> json) {
    return (Map<String, Object>) json; // JsonTree makes no others
  }

  @Test
  void eachLineGivesWhatACommandOfItsOwnGives() throws IOException {
    CapturedRun run =
        run(
            """
            {"prompt": "In the beginning", "id": "first"}

            {"prompt_ids": [0, 271], "max_tokens": 6, "temperature": 0, "id": 7}
            {"prompt": "@file", "seed": 3, "top_k": 5, "top_p": 0.9}
            """,
            "--seed",
            5);
    assertThat(run.exitCode()).as(run.err()).isZero();
    List<Map<String, Object>> results = results(run);
    assertThat(results).extracting(result -> result.get("line")).containsExactly(1L, 3L, 4L);
    assertThat(results.get(0).get("id")).isEqualTo("first");
    assertThat(results.get(1).get("id")).isEqualTo(7L);
    assertThat(results.get(2).containsKey("id")).isFalse();
    Object[][] alone = {
      {"--prompt", "In the beginning", "--seed", 5, "--max-tokens", 4},
      {"--prompt-ids", "0,271", "--temperature", 0, "--max-tokens", 6},
      {"--prompt", "@file", "--seed", 3, "--top-k", 5, "--top-p", 0.9, "--max-tokens", 4}
    };
    for (int i = 0; i < alone.length; i++) {
      Object[] arguments = new Object[alone[i].length + 3];
      System.arraycopy(new Object[] {"generate", Shipped.MODEL, "--json"}, 0, arguments, 0, 3);
      System.arraycopy(alone[i], 0, arguments, 3, alone[i].length);
      Map<?, ?> expected = JsonTree.parse(CapturedRun.of(arguments).out());
      for (String field : List.of("ids", "text", "finish_reason", "prompt_tokens"))
        assertThat(results.get(i).get(field)).as(field).isEqualTo(expected.get(field));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "nonsense | not JSON: Unrecognized token 'nonsense'",
        "{\"prompt_ids\": [1 | not JSON: Unexpected end-of-input: expected close marker for Array, at column",
        "{\"prompt\": \"\\ud800 a\"} | prompt must be text, found half of a surrogate pair in it",
        "{\"prompt\": \"a\", \"seed\": 9223372036854775808} | seed must be an integer, found 9223372036854775808",
        "{\"prompt\": \"a\", \"temperature\": 1e999} | temperature must be finite",
        "{\"prompt\": \"a\", \"stop\": 5} | stop must be a string, found 5",
        "{\"prompt\": \"a\", \"stop\": [\"\"]} | stop must not hold an empty text",
        "{\"prompt\": \"a\", \"greedy\": 1} | greedy must be true or false, found 1",
        "{\"prompt\": \"a\", \"greedy\": true, \"top_p\": 0.5} | greedy contradicts top_p 0.5",
        "[1] | expected a JSON object",
        "{} | expected either prompt or prompt_ids",
        "{\"prompt\": \"a\", \"prompt_ids\": [1]} | expected either prompt or prompt_ids",
        "{\"prompt\": \"a\"} {} | expected one JSON object, found more after it",
        "{\"prompt\": \"a\", \"prompt\": \"b\"} | Duplicate field 'prompt'",
        "{\"prompt\": 5} | prompt must be a string, found 5",
        "{\"prompt\": \"\"} | prompt must not be empty",
        "{\"prompt_ids\": []} | prompt_ids must not be empty",
        "{\"prompt_ids\": [1, \"2\"]} | prompt_ids must be an integer, found 2",
        "{\"prompt_ids\": [2048]} | prompt_ids must be less than the vocabulary of 2048, found 2048",
        "{\"prompt_ids\": [-1]} | prompt_ids must be less than the vocabulary of 2048, found -1",
        "{\"prompt\": \"a\", \"max_tokens\": 1.5} | max_tokens must be an integer, found 1.5",
        "{\"prompt\": \"a\", \"max_tokens\": 3000000000} | max_tokens must be an integer of 32 bits",
        "{\"prompt\": \"a\", \"max_tokens\": -2} | max_tokens must not be negative, found -2",
        "{\"prompt\": \"a\", \"top_p\": 0} | top_p must lie in (0, 1], found 0.0",
        "{\"prompt\": \"a\", \"top_k\": -1} | top_k must not be negative, found -1",
        "{\"prompt\": \"a\", \"maxtokens\": 3} | there is no field maxtokens",
        "{\"prompt\": \"a\", \"id\": {}} | id must be a string or a number",
      })
  void aBadLineIsAnErrorWithItsNumberAndTheOthersGoOn(String line, String message)
      throws IOException {
    CapturedRun run = run("{\"prompt_ids\": [1]}\n" + line + "\n{\"prompt_ids\": [2]}");
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    List<Map<String, Object>> results = results(run);
    assertThat(results).hasSize(3);
    assertThat(results.get(0)).containsKey("text");
    assertThat(results.get(1).get("line")).isEqualTo(2L);
    Map<?, ?> error = (Map<?, ?>) results.get(1).get("error");
    assertThat((String) error.get("message")).contains(message);
    assertThat(error.get("exit_code")).isEqualTo(3L);
    assertThat(results.get(2)).containsKey("text");
  }

  /** Whatever a line holds, it is read or refused. */
  @Test
  void damagedLinesAreReadOrRefused() {
    byte[] line =
        "{\"id\": \"a\", \"prompt\": \"\\u00e9\", \"max_tokens\": 3, \"stop\": [\"x\"], \"seed\": -15}"
            .getBytes(StandardCharsets.UTF_8);
    Random random = new Random(8);
    int read = 0;
    for (int i = 0; i < 20_000; i++) {
      byte[] damaged =
          Arrays.copyOf(line, random.nextInt(10) == 0 ? random.nextInt(line.length) : line.length);
      for (int change = random.nextInt(4); change >= 0 && damaged.length > 0; change--)
        damaged[random.nextInt(damaged.length)] =
            random.nextBoolean() ? (byte) random.nextInt(256) : line[random.nextInt(line.length)];
      try {
        new PromptLine().read(TextInput.decode("line", damaged));
        read++;
      } catch (IllegalArgumentException | CommandException e) {
        assertThat(e.getMessage()).isNotEmpty();
      }
    }
    assertThat(read).isBetween(20, 10_000);
  }

  @Test
  void anErrorNamesTheIdOfItsLine() throws IOException {
    CapturedRun run = run("{\"id\": \"a \\\"b\\\"\", \"prompt_ids\": [1], \"max_tokens\": 5000}");
    assertThat(results(run).get(0).get("id")).isEqualTo("a \"b\"");
    Map<?, ?> error = (Map<?, ?>) results(run).get(0).get("error");
    assertThat((String) error.get("message")).contains("1024", "5001");
    assertThat(error.get("exit_code")).isEqualTo((long) ExitCode.TOO_SMALL);
  }

  @Test
  void aLineWithoutAnEndIsReadPast() throws IOException {
    String endless = "{\"prompt\": \"" + "a".repeat(PromptLines.MAX_LINE_BYTES) + "\"}";
    CapturedRun run = run(endless + "\n{\"prompt_ids\": [1]}\n");
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    List<Map<String, Object>> results = results(run);
    assertThat((String) ((Map<?, ?>) results.get(0).get("error")).get("message"))
        .isEqualTo("expected at most 16.0 MiB in a line, found more");
    assertThat(results.get(1).get("line")).isEqualTo(2L);
    assertThat(results.get(1)).containsKey("text");
  }

  @Test
  void tokensCanBeLinesOfTheirOwn() throws IOException {
    CapturedRun run = run("{\"prompt_ids\": [1]}\n{\"prompt_ids\": [2]}", "--stream", "json");
    assertThat(run.exitCode()).as(run.err()).isZero();
    List<Map<String, Object>> results = results(run);
    assertThat(results).hasSize(10);
    assertThat(results).extracting(result -> result.get("line")).containsOnly(1L, 2L);
    assertThat(results.get(3).get("index")).isEqualTo(3L);
    assertThat(results.get(4)).containsKeys("ids", "text");
  }

  @Test
  void aFileServesAsStandardInputDoes() throws IOException {
    Path file = Files.writeString(folder.resolve("prompts.jsonl"), "{\"prompt_ids\": [1]}\r\n");
    CapturedRun run =
        CapturedRun.of("generate", Shipped.MODEL, "--prompts", file, "--max-tokens", 2);
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(results(run)).hasSize(1);
    CapturedRun absent =
        CapturedRun.of("generate", Shipped.MODEL, "--prompts", folder.resolve("absent"));
    assertThat(absent.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(absent.err()).contains("absent: no such file or directory");
    CapturedRun both = CapturedRun.of("generate", Shipped.MODEL, "--prompts", file, "--json");
    assertThat(both.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(both.err()).contains("--prompts and --json");
  }

  private Process start() throws IOException {
    return CommandProcess.of(
            List.of(),
            List.of("generate", Shipped.MODEL.toString(), "--prompts", "-", "--max-tokens", "4"))
        .redirectError(folder.resolve("err").toFile())
        .start();
  }

  private static BufferedReader reader(Process process) {
    return new BufferedReader(
        new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
  }

  private static BufferedWriter writer(Process process) {
    return new BufferedWriter(
        new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
  }

  /** A program may wait for an answer before it asks again. */
  @Test
  void anAnswerComesBeforeTheNextLineIsRead() throws Exception {
    Process process = start();
    try (BufferedReader answers = reader(process);
        BufferedWriter questions = writer(process)) {
      for (int line = 1; line <= 3; line++) {
        questions.write("{\"prompt_ids\": [" + line + "]}\n");
        questions.flush();
        assertThat(JsonTree.parse(answers.readLine()).get("line")).isEqualTo((long) line);
      }
    }
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(Files.readString(folder.resolve("err"))).isZero();
    assertThat(folder.resolve("err")).content().contains("prompts", "3, 0 failed");
  }

  /** While it waits for a line, nothing is lost, so it ends at once. */
  @Test
  void aSignalEndsTheWaitForALine() throws Exception {
    Process process = start();
    try (BufferedReader answers = reader(process);
        BufferedWriter questions = writer(process)) {
      questions.write("{\"prompt_ids\": [1]}\n");
      questions.flush();
      assertThat(answers.readLine()).isNotNull();
      process.destroy();
      assertThat(process.waitFor(5, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isEqualTo(143);
    }
  }

  @Test
  void aReaderThatHasGoneEndsItQuietly() throws Exception {
    Process process = start();
    process.getInputStream().close();
    try (OutputStream questions = process.getOutputStream()) {
      for (int line = 0; line < 10_000; line++)
        questions.write("{\"prompt_ids\": [1]}\n".getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      // it has ended and reads no more
    }
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isEqualTo(ExitCode.BROKEN_PIPE);
    assertThat(folder.resolve("err")).isEmptyFile();
  }
}
