package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class GenerateCommandTest {
  private static final String PROMPT = "<|endoftext|>Psalm 151\n";

  @TempDir Path folder;

  @Test
  void textGoesToOutAndWhatItTookToErr() {
    CapturedRun run =
        CapturedRun.of(
            "generate",
            Shipped.MODEL,
            "--prompt",
            PROMPT,
            "--max-tokens",
            20,
            "--budget",
            "25%",
            "--seed",
            7);
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out()).startsWith("Of such an one as I have not seen").endsWith("\n");
    assertThat(run.out().lines().count()).isLessThan(4);
    assertThat(run.err())
        .contains(
            "8 tokens in",
            "20 tokens in",
            "tokens/s",
            "--max-tokens reached",
            "25 %, lfru",
            "hit rate",
            "peak memory")
        .doesNotContain("SLF4J");
  }

  @Test
  void namesTheBackendThatIsNotThereAndWhatDoesNotGoWithOne() {
    CapturedRun unknown =
        CapturedRun.of("generate", Shipped.MODEL, "--prompt", PROMPT, "--backend", "abacus");
    assertThat(unknown.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(unknown.err()).contains("--backend: there is no abacus; there are: cpu, cuda");
    CapturedRun threads =
        CapturedRun.of(
            "generate", Shipped.MODEL, "--prompt", PROMPT, "--backend", "cuda", "--threads", 2);
    assertThat(threads.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(threads.err()).contains("--threads must be 0 for backend cuda, found 2");
    CapturedRun cpu =
        CapturedRun.of(
            "generate", Shipped.MODEL, "--prompt", PROMPT, "--max-tokens", 2, "--backend", "cpu");
    assertThat(cpu.exitCode()).as(cpu.err()).isZero();
  }

  @Test
  void theTextDependsOnTheSeedAndOnNothingElse() {
    List<List<?>> ways =
        List.of(
            List.of(),
            List.of("--budget", "1MiB", "--policy", "LRU"),
            List.of("--budget", "10%", "--policy", "lfu", "--read-ahead"),
            List.of("--threads", 1),
            List.of("--every-expert"));
    String expected = null;
    for (List<?> way : ways) {
      CapturedRun run =
          CapturedRun.of(
              Stream.concat(
                      Stream.of(
                          "generate",
                          Shipped.MODEL,
                          "--prompt",
                          PROMPT,
                          "--max-tokens",
                          12,
                          "--seed",
                          3),
                      way.stream())
                  .toArray());
      assertThat(run.exitCode()).as(run.err()).isZero();
      if (expected == null) expected = run.out();
      assertThat(run.out()).as(way.toString()).isEqualTo(expected);
    }
    assertThat(
            CapturedRun.of(
                    "generate", Shipped.MODEL, "--prompt", PROMPT, "--max-tokens", 12, "--seed", 4)
                .out())
        .isNotEqualTo(expected);
  }

  @Test
  void idsServeACheckpointWithoutTokenizer() {
    CapturedRun whole =
        CapturedRun.of(
            "generate",
            Shipped.golden("qwen3_moe"),
            "--prompt-ids",
            "3,17,29",
            "--max-tokens",
            8,
            "--temperature",
            0);
    assertThat(whole.exitCode()).as(whole.err()).isZero();
    assertThat(whole.out()).matches("[0-9]+(,[0-9]+){7}\n");
    String[] ids = whole.out().strip().split(",");
    String longer = "3,17,29," + String.join(",", Arrays.copyOf(ids, 4));
    CapturedRun rest =
        CapturedRun.of(
            "generate",
            Shipped.golden("qwen3_moe"),
            "--prompt-ids",
            longer,
            "--max-tokens",
            4,
            "--temperature",
            0);
    assertThat(rest.out().strip()).isEqualTo(String.join(",", Arrays.copyOfRange(ids, 4, 8)));
  }

  @Test
  void statsAreTheSameAsWhatWasPrinted() throws IOException {
    Path stats = folder.resolve("stats.json");
    CapturedRun run =
        CapturedRun.of(
            "generate",
            Shipped.MODEL,
            "--prompt",
            PROMPT,
            "--max-tokens",
            10,
            "--print-ids",
            "--budget",
            "30%",
            "--policy",
            "lru",
            "--stats",
            stats);
    assertThat(run.exitCode()).as(run.err()).isZero();
    Map<?, ?> json = JsonTree.parse(Files.readString(stats));
    assertThat(((List<?>) json.get("ids")).stream().map(Object::toString).toList())
        .isEqualTo(List.of(run.out().strip().split(",")));
    assertThat(json.get("finish_reason")).isEqualTo("length");
    assertThat(json.get("prompt_tokens")).isEqualTo(8L);
    assertThat(((Map<?, ?>) json.get("options")).get("policy")).isEqualTo("lru");
    Map<?, ?> experts = (Map<?, ?>) json.get("experts");
    assertThat((long) experts.get("peak_resident_bytes"))
        .isPositive()
        .isLessThanOrEqualTo((long) experts.get("budget_bytes"));
    assertThat((long) experts.get("budget_bytes"))
        .isEqualTo((long) (0.3 * (long) experts.get("expert_bytes")));
    assertThat((long) experts.get("demand_bytes_read"))
        .isGreaterThanOrEqualTo((long) experts.get("misses") * 73_728 * 2);
    assertThat((long) json.get("peak_memory_bytes")).isGreaterThan(10 << 20);
    CapturedRun dense =
        CapturedRun.of(
            "generate",
            Shipped.golden("llama"),
            "--prompt-ids",
            "1,2",
            "--max-tokens",
            3,
            "--stats",
            stats);
    assertThat(dense.exitCode()).as(dense.err()).isZero();
    assertThat(JsonTree.parse(Files.readString(stats)).containsKey("experts")).isFalse();
  }

  static Stream<Arguments> wrong() {
    Path model = Shipped.MODEL;
    return Stream.of(
        Arguments.of(ExitCode.USAGE, "--prompt", List.of(model)),
        Arguments.of(
            ExitCode.USAGE,
            "mutually exclusive",
            List.of(model, "--prompt", "a", "--prompt-ids", "1")),
        Arguments.of(ExitCode.USAGE, "--prompt must not be empty", List.of(model, "--prompt", "")),
        Arguments.of(
            ExitCode.USAGE,
            "token ids must be like 3,17,4, found 'x'",
            List.of(model, "--prompt-ids", "1,x")),
        Arguments.of(
            ExitCode.USAGE,
            "vocabulary of 2048, found 2048",
            List.of(model, "--prompt-ids", "2048")),
        Arguments.of(
            ExitCode.USAGE,
            "(10^6 bytes each) or 4096 (bytes), found lots",
            List.of(model, "--prompt", "a", "--budget", "lots")),
        Arguments.of(
            ExitCode.USAGE,
            "budget must lie in (0 %, 100 %]",
            List.of(model, "--prompt", "a", "--budget", "0%")),
        Arguments.of(
            ExitCode.USAGE,
            "policy must be one of lru, lfu, lfru, found fifo",
            List.of(model, "--prompt", "a", "--policy", "fifo")),
        Arguments.of(
            ExitCode.USAGE,
            "activations must be f32 or bf16, found f16",
            List.of(model, "--prompt", "a", "--activations", "f16")),
        Arguments.of(
            ExitCode.USAGE,
            "--temperature must be finite",
            List.of(model, "--prompt", "a", "--temperature", "-1")),
        Arguments.of(
            ExitCode.USAGE,
            "--top-p must lie in (0, 1], found 0.0",
            List.of(model, "--prompt", "a", "--top-p", "0")),
        Arguments.of(
            ExitCode.USAGE,
            "--threads must lie in [0, 1024], found -1",
            List.of(model, "--prompt", "a", "--threads", "-1")),
        Arguments.of(
            ExitCode.USAGE,
            "--threads must lie in [0, 1024], found 1000000",
            List.of(model, "--prompt", "a", "--threads", "1000000")),
        Arguments.of(
            ExitCode.TOO_SMALL,
            "expected at least",
            List.of(model, "--prompt", "a", "--budget", "1000")),
        Arguments.of(
            ExitCode.USAGE,
            "--max-tokens must not be negative, found -1",
            List.of(model, "--prompt", "a", "--max-tokens", "-1")),
        Arguments.of(
            ExitCode.TOO_SMALL,
            "the context holds at most 1,024 tokens, found 2 of the prompt and --max-tokens 100,000",
            List.of(model, "--prompt-ids", "1,2", "--max-tokens", "100000")),
        Arguments.of(
            ExitCode.BAD_INPUT,
            "golden.safetensors: expected the folder of a checkpoint, found a file",
            List.of(Shipped.MODEL.resolve("golden.safetensors"), "--prompt", "a")),
        Arguments.of(ExitCode.BAD_INPUT, "expected", List.of("absent", "--prompt", "a")),
        Arguments.of(
            ExitCode.BAD_INPUT,
            "cannot be written",
            List.of(model, "--prompt", "a", "--stats", "/absent/stats.json")),
        Arguments.of(
            ExitCode.BAD_INPUT,
            "deepseek_v32",
            List.of(Shipped.golden("deepseek_v32"), "--prompt-ids", "1")),
        Arguments.of(
            ExitCode.MISSING,
            "use --prompt-ids",
            List.of(Shipped.golden("mixtral"), "--prompt", "a")));
  }

  @ParameterizedTest
  @MethodSource("wrong")
  void whatIsWrongIsNamedWithItsExitCode(int exitCode, String message, List<?> arguments) {
    CapturedRun run =
        CapturedRun.of(Stream.concat(Stream.of("generate"), arguments.stream()).toArray());
    assertThat(run.err()).startsWith("winnow: ").contains(message).doesNotContain("\tat ");
    assertThat(run.exitCode()).as(run.err()).isEqualTo(exitCode);
    assertThat(run.err().lines().filter(line -> !line.startsWith("Try '")).count())
        .as(run.err())
        .isEqualTo(1);
    assertThat(run.out()).isEmpty();
  }

  @Test
  void statsThatCannotBeWrittenInTheEndAreNamedAfterTheSummary() {
    CapturedRun run =
        CapturedRun.of(
            "generate",
            Shipped.MODEL,
            "--prompt-ids",
            "1",
            "--max-tokens",
            1,
            "--stats",
            "/dev/full");
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .contains("hit rate")
        .endsWith("winnow: /dev/full: cannot be written: No space left on device\n");
  }

  @Test
  void aDamagedFileIsNamedWithItsTensor() throws IOException {
    for (Path file : List.of(Path.of("config.json"), Path.of("model.safetensors")))
      Files.copy(Shipped.golden("mixtral").resolve(file), folder.resolve(file));
    byte[] whole = Files.readAllBytes(folder.resolve("model.safetensors"));
    Files.write(folder.resolve("model.safetensors"), Arrays.copyOf(whole, whole.length / 2));
    CapturedRun run = CapturedRun.of("generate", folder, "--prompt-ids", "1");
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .startsWith("winnow: " + folder.resolve("model.safetensors") + ": ")
        .contains("expected", "found");
    assertThat(run.err().lines()).hasSize(1);
  }
}
