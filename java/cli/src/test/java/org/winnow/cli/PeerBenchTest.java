package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code winnow bench --end-to-end} with {@code --peer} and {@code --compare}. */
class PeerBenchTest {
  @TempDir Path folder;

  private CapturedRun bench(Object... more) {
    Stream<Object> options =
        Stream.of(
            "bench",
            "--end-to-end",
            "--quick",
            "--shape",
            "kjv_moe",
            "--layers",
            1,
            "--vocabulary",
            64,
            "--prompt-tokens",
            8,
            "--new-tokens",
            2,
            "--runs",
            1,
            "--budget",
            "100%",
            "--made",
            folder,
            "--lengths",
            16);
    return CapturedRun.of(Stream.concat(options, Stream.of(more)).toArray());
  }

  private static String table(String... rows) {
    return "printf '| threads | test | t/s |\\n| --: | --: | --: |\\n"
        + String.join("", rows)
        + "'";
  }

  @Test
  void aPeerTakesTurnsAndIsComparedByRound() throws IOException {
    Path calls = folder.resolve("calls");
    String peer =
        "echo call >> "
            + calls
            + "; "
            + table("| 1 | pp8 | 0.5 |\\n", "| 1 | tg2 | 0.25 |\\n", "| 4 | pp8 | 9 |\\n");
    CapturedRun run = bench("--threads", 1, "--rounds", 2, "--peer", peer, "--json");
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(Files.readAllLines(calls)).hasSize(2);
    assertThat(run.err()).contains("ratio by round");
    List<?> peers = (List<?>) JsonTree.parse(run.out()).get("peers");
    Map<?, ?> only = (Map<?, ?>) peers.get(0);
    assertThat(only.get("failure")).isNull();
    List<?> results = (List<?>) only.get("results");
    assertThat(results).hasSize(2);
    Map<?, ?> prefill = (Map<?, ?>) results.get(0);
    assertThat(prefill.get("name")).isEqualTo("pp8");
    double ours = median(prefill, "tokens_per_second");
    assertThat(median(prefill, "peer_tokens_per_second")).isEqualTo(0.5);
    assertThat(median(prefill, "ratio")).isCloseTo(ours / 0.5, within(1e-9 * ours));
  }

  private static org.assertj.core.data.Offset<Double> within(double offset) {
    return org.assertj.core.data.Offset.offset(offset);
  }

  private static double median(Map<?, ?> result, String name) {
    return (double) ((Map<?, ?>) result.get(name)).get("median");
  }

  @Test
  void aPeerThatFailsLaterGivesNoFigures() throws IOException {
    Path calls = folder.resolve("calls");
    String peer =
        "echo >> "
            + calls
            + "; test $(wc -l < "
            + calls
            + ") = 1 || exit 4; "
            + table("| 1 | pp8 | 0.5 |\\n");
    CapturedRun run = bench("--threads", 1, "--rounds", 2, "--peer", peer, "--stats", "-");
    assertThat(run.exitCode()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(run.err().lines()).contains("winnow: peer '" + peer + "': exit code 4");
    assertThat(run.err()).contains("failed: exit code 4").doesNotContain("ratio by round");
    Map<?, ?> only = (Map<?, ?>) ((List<?>) JsonTree.parse(run.out()).get("peers")).get(0);
    assertThat((List<?>) only.get("results")).isEmpty();
    assertThat((String) only.get("failure")).isEqualTo("exit code 4");
  }

  @Test
  void resultsAreComparedWithTheirOwnKindOnly() throws IOException {
    Path old = folder.resolve("old.json");
    CapturedRun first = bench("--threads", 1, "--rounds", 1, "--stats", old);
    assertThat(first.exitCode()).as(first.err()).isZero();
    CapturedRun again = bench("--threads", 1, "--rounds", 1, "--compare", old, "--json");
    assertThat(again.exitCode()).as(again.err()).isZero();
    List<?> comparison = (List<?>) JsonTree.parse(again.out()).get("comparison");
    assertThat(comparison).hasSameSizeAs((List<?>) JsonTree.parse(again.out()).get("results"));
    assertThat(again.err()).contains("share then", "pp8, 1, 100 %");

    refused(old, "\"processor\" : \"", "\"processor\" : \"other ", "machine.processor of this run");
    refused(old, "\"parameters\" : ", "\"parameters\" : 1", "options.parameters of this run");
    refused(old, "\"end to end\"", "\"operations\"", "benchmark of this run, end to end");
    refused(old, "\"median\" : ", "\"median\" : -", "results[0].median to be a positive number");
    refused(
        old, "\"results\" : [", "\"results\" : 3, \"rest\" : [", "expected results, found none");
    refused(old, "{", "[", "cannot be read");
    assertThat(bench("--threads", 2, "--rounds", 1, "--compare", old).err())
        .contains("options.threads of this run, [2], found [1]");
    assertThat(bench("--threads", 1, "--compare", old, "--cache-type", "bf16").err())
        .contains("options.cache_type of this run, bf16, found default");
    Path more = folder.resolve("more.json");
    Files.writeString(
        more, Files.readString(old).replaceFirst("\"name\" : \"pp8\"", "\"name\" : \"pp9\""));
    CapturedRun missing = bench("--threads", 1, "--rounds", 1, "--compare", more);
    assertThat(missing.exitCode()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(missing.err()).contains("has 'pp9, 1, 100 %', which this run has not");
  }

  private void refused(Path old, String from, String to, String expected) throws IOException {
    Path changed = folder.resolve("changed.json");
    String text = Files.readString(old);
    assertThat(text).contains(from);
    int at = text.indexOf(from);
    Files.writeString(changed, text.substring(0, at) + to + text.substring(at + from.length()));
    CapturedRun run = bench("--threads", 1, "--rounds", 1, "--compare", changed);
    assertThat(run.exitCode()).as(run.err()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err()).contains(changed.toString(), expected);
    assertThat(run.err().lines().filter(line -> line.startsWith("winnow: "))).hasSize(1);
    assertThat(run.out()).isEmpty();
  }

  @Test
  void aFileThatIsNoneIsNamed() {
    Path absent = folder.resolve("absent.json");
    CapturedRun run = bench("--threads", 1, "--compare", absent);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .isEqualTo("winnow: " + absent + ": cannot be read: no such file or directory\n");
  }
}
