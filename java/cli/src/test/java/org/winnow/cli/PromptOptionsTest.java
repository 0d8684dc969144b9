package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.models.Tokenizer;

class PromptOptionsTest {
  @TempDir Path folder;

  private static List<?> promptIds(CapturedRun run) throws IOException {
    assertThat(run.exitCode()).as(run.err()).isZero();
    return (List<?>) JsonTree.parse(run.out()).get("prompt_ids");
  }

  private static List<Long> encoded(String text) {
    try (Tokenizer tokenizer = Tokenizer.open(Shipped.MODEL)) {
      return java.util.Arrays.stream(tokenizer.encode(text, true)).asLongStream().boxed().toList();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "@words.txt",
        "@@x",
        "@",
        "--seed",
        "--",
        "-",
        "-h",
        "--help",
        "--prompt",
        "-x",
        "'q'",
        "\"q\"",
        "${sys:user.home}",
        "%n",
        "a=b",
        " lead",
        "trail\n",
        "#c"
      })
  void aPromptIsTextWhateverItBeginsWith(String text) throws IOException {
    CapturedRun apart =
        CapturedRun.of("generate", Shipped.MODEL, "--prompt", text, "--max-tokens", 1, "--json");
    assertThat(promptIds(apart)).isEqualTo(encoded(text));
    CapturedRun attached =
        CapturedRun.of("generate", "--prompt=" + text, Shipped.MODEL, "--max-tokens=1", "--json");
    assertThat(promptIds(attached)).isEqualTo(encoded(text));
  }

  @Test
  void aFileIsReadExactly() throws IOException {
    String text = "And it came to pass,\r\n\n\té 𝄞\n";
    Path file = Files.writeString(folder.resolve("prompt.txt"), text);
    CapturedRun run =
        CapturedRun.of(
            "generate", Shipped.MODEL, "--prompt-file", file, "--max-tokens", 1, "--json");
    assertThat(promptIds(run)).isEqualTo(encoded(text));
    CapturedRun input =
        CapturedRun.withInput(
            text, "generate", Shipped.MODEL, "--prompt-file", "-", "--max-tokens", 1, "--json");
    assertThat(promptIds(input)).isEqualTo(encoded(text));
  }

  @Test
  void aFileThatIsNoTextIsRefused() throws IOException {
    Path latin1 =
        Files.write(
            folder.resolve("latin1"), "caf\u00e9 noir".getBytes(StandardCharsets.ISO_8859_1));
    CapturedRun run = CapturedRun.of("generate", Shipped.MODEL, "--prompt-file", latin1);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .isEqualTo("winnow: " + latin1 + ": expected UTF-8 text, found byte 0xe9 at offset 3\n");
    assertThat(CapturedRun.of("generate", Shipped.MODEL, "--prompt-file", folder).err())
        .isEqualTo("winnow: " + folder + ": expected a file, found a folder\n");
    Path empty = Files.createFile(folder.resolve("empty"));
    CapturedRun none = CapturedRun.of("generate", Shipped.MODEL, "--prompt-file", empty);
    assertThat(none.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(none.err()).startsWith("winnow: --prompt-file must not be empty\n");
  }

  /** The device never ends. */
  @Test
  void aFileThatCannotFitIsNotReadToItsEnd() {
    CapturedRun run = CapturedRun.of("generate", Shipped.MODEL, "--prompt-file", "/dev/zero");
    assertThat(run.exitCode()).as(run.err()).isEqualTo(ExitCode.TOO_SMALL);
    assertThat(run.err())
        .matches("winnow: sequence must hold at most 1024 tokens, found at least [0-9]+\n");
  }

  @Test
  void aFileThatCannotBeReadIsNamed() {
    for (String option : List.of("--prompt-file", "--prompts")) {
      CapturedRun run = CapturedRun.of("generate", Shipped.MODEL, option, "/proc/self/mem");
      assertThat(run.exitCode()).as(run.err()).isEqualTo(ExitCode.BAD_INPUT);
      assertThat(run.err())
          .isEqualTo("winnow: /proc/self/mem: cannot be read: Input/output error\n");
    }
  }

  @Test
  void theDocumentStandsAloneOnStandardOutput() throws IOException {
    for (List<String> way : List.of(List.of("--json"), List.of("--stats", "-"))) {
      Object[] arguments = new Object[6 + way.size()];
      System.arraycopy(
          new Object[] {"generate", Shipped.MODEL, "--prompt", "And", "--max-tokens", 5},
          0,
          arguments,
          0,
          6);
      System.arraycopy(way.toArray(), 0, arguments, 6, way.size());
      CapturedRun run = CapturedRun.of(arguments);
      Map<?, ?> json = JsonTree.parse(run.out());
      assertThat(run.err()).startsWith((String) json.get("text")).contains("hit rate");
    }
  }

  @Test
  void aStreamOfJsonHasALineForEachTokenThenTheResult() throws IOException {
    CapturedRun run =
        CapturedRun.of(
            "generate", Shipped.MODEL, "--prompt", "And", "--max-tokens", 5, "--stream", "json");
    assertThat(run.exitCode()).as(run.err()).isZero();
    List<String> lines = run.out().lines().toList();
    assertThat(lines).hasSize(6);
    Map<?, ?> result = (Map<?, ?>) JsonTree.parse(lines.get(5)).get("result");
    StringBuilder text = new StringBuilder();
    double before = 0;
    for (int i = 0; i < 5; i++) {
      Map<?, ?> token = JsonTree.parse(lines.get(i));
      assertThat(token.get("index")).isEqualTo((long) i);
      assertThat(token.get("id")).isEqualTo(((List<?>) result.get("ids")).get(i));
      assertThat((double) token.get("seconds")).isGreaterThan(before);
      before = (double) token.get("seconds");
      text.append(token.get("text"));
    }
    assertThat(result.get("text")).isEqualTo(text.toString());
    CapturedRun both =
        CapturedRun.of(
            "generate", Shipped.MODEL, "--prompt", "And", "--stream", "json", "--stats", "-");
    assertThat(both.exitCode()).isEqualTo(ExitCode.USAGE);
  }

  @Test
  void aFailureLeavesTheFileOfFiguresAsItWas() throws IOException {
    Path stats = Files.writeString(folder.resolve("stats.json"), "{\"precious\": true}");
    for (Object[] arguments :
        new Object[][] {
          {"generate", folder, "--prompt", "x", "--stats", stats},
          {"generate", Shipped.MODEL, "--prompt", "", "--stats", stats},
          {"verify", Shipped.MODEL, folder, "--stats", stats},
          {"perplexity", Shipped.MODEL, folder, "--stats", stats},
        }) {
      assertThat(CapturedRun.of(arguments).exitCode()).isNotZero();
      assertThat(stats).hasContent("{\"precious\": true}");
      assertThat(Files.list(folder)).containsExactly(stats);
    }
  }
}
