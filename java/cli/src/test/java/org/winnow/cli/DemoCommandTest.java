package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoCommandTest {
  static final FileTime TIME = FileTime.fromMillis(1_000_000_000_000L);

  @Test
  void showsTextThenSparseBesideDenseThenEveryBudgetThenDrawsThem(@TempDir Path folder)
      throws IOException {
    Path plot = folder.resolve("budgets.png");
    Path stats = folder.resolve("demo.json");
    CapturedRun run =
        CapturedRun.of(
            "demo", "--model", Shipped.MODEL, "--max-tokens", 6, "--plot", plot, "--stats", stats);
    assertThat(run.exitCode()).as(run.out() + run.err()).isZero();
    checkFigures(JsonTree.parse(Files.readString(stats)));
    assertThat(run.out())
        .contains(
            "kjv-moe: 4 layers, 32 experts in each, 4 per token.",
            "(25 %)",
            "Psalm 151\nOf such an one",
            "sparse, 25 %",
            "sparse, 100 %",
            "dense",
            "4 of 32",
            "32 of 32",
            "2.36 million",
            "18.9 million",
            "expert bytes read",
            "peak memory",
            "Every bit of every logit is equal.",
            "All 60 runs: the same");
    for (int tenth = 1; tenth <= 10; tenth++)
      assertThat(run.out()).containsPattern("\n  " + tenth + "0 % .* 6 of 6\n");
    assertThat(run.out()).doesNotContain("DIFFER", "\u001b");
    assertThat(run.err())
        .contains("sparse beside dense: 100 %", "every budget: 100 %", "plot: 100 %");
    assertThat(run.out()).contains("\nplot: " + plot + " (policy lfru");
    assertThat(ImageIO.read(plot.toFile()).getWidth()).isGreaterThan(600);
  }

  private static void checkFigures(Map<?, ?> json) {
    assertThat((String) json.get("text")).startsWith("Of such an one");
    assertThat(json.get("equal")).isEqualTo(true);
    Map<?, ?> comparison = (Map<?, ?>) json.get("comparison");
    assertThat((List<?>) comparison.get("sides"))
        .hasSize(3)
        .allSatisfy(side -> assertThat((double) figure(side, "tokens_per_second")).isPositive());
    assertThat((List<?>) json.get("budgets"))
        .hasSize(10)
        .allSatisfy(budget -> assertThat(figure(budget, "equal_runs")).isEqualTo(6L));
    assertThat((List<?>) ((Map<?, ?>) json.get("plot")).get("budgets")).hasSize(10);
  }

  private static Object figure(Object figures, String name) {
    return ((Map<?, ?>) figures).get(name);
  }

  @Test
  void aPlotThatCannotBeWrittenIsRefusedBeforeAnythingRuns(@TempDir Path folder) {
    Path file = folder.resolve("absent/budgets.png");
    CapturedRun run = CapturedRun.of("demo", "--model", Shipped.MODEL, "--plot", file);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .isEqualTo("winnow: " + file + ": cannot be written: no such file or directory\n");
    assertThat(run.out()).isEmpty();
    CapturedRun jpeg = CapturedRun.of("demo", "--model", Shipped.MODEL, "--plot", "budgets.jpg");
    assertThat(jpeg.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(jpeg.err()).startsWith("winnow: --plot must end in .png, found budgets.jpg\n");
  }

  /**
   * Experts change in the file while the demo runs, as on a failing disk: size and time stay. Both
   * comparisons must notice.
   */
  @Test
  void resultsThatDifferAreFound(@TempDir Path folder) throws IOException {
    try (Stream<Path> files = Files.list(Shipped.MODEL)) {
      for (Path file : files.toList()) Files.copy(file, folder.resolve(file.getFileName()));
    }
    Path weights = folder.resolve("model.safetensors");
    byte[] original = Files.readAllBytes(weights);
    Files.setLastModifiedTime(weights, TIME);
    AtomicInteger changes = new AtomicInteger();
    CapturedRun run =
        CapturedRun.watched(
            err -> {
              if (changes.get() == 0 && err.contains("sparse beside dense: 25 %")) {
                changes.incrementAndGet();
                overwrite(weights, new byte[original.length / 2], original.length / 2);
              }
              if (changes.get() == 1 && err.contains("every budget: 25 %")) {
                changes.incrementAndGet();
                overwrite(weights, original, 0);
              }
            },
            "demo",
            "--model",
            folder,
            "--max-tokens",
            6);
    assertThat(changes).hasValue(2);
    assertThat(run.exitCode()).as(run.err()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(run.out())
        .contains("THE LOGITS DIFFER.", "RESULTS DIFFER.")
        .containsPattern("\n  100 % .* 0 of 6\n")
        .doesNotContain("is equal");
  }

  /** Writes into a file and gives it {@link #TIME}, which it had before. */
  static void overwrite(Path file, byte[] bytes, long offset) {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(bytes), offset);
      Files.setLastModifiedTime(file, TIME);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void whatIsWrongIsNamed(@TempDir Path folder) {
    assertThat(CapturedRun.of("demo", "--max-tokens", 1).exitCode()).isEqualTo(ExitCode.USAGE);
    CapturedRun empty = CapturedRun.of("demo", "--model", Shipped.MODEL, "--prompt", "");
    assertThat(empty.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(empty.err()).startsWith("winnow: --prompt must not be empty\n");
    assertThat(CapturedRun.of("demo", "--model", folder).exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(CapturedRun.of("demo", "--model", Shipped.golden("mixtral")).exitCode())
        .isEqualTo(ExitCode.MISSING);
    CapturedRun without = CapturedRun.of("demo"); // this JVM was not started by the launcher
    assertThat(without.exitCode()).isEqualTo(ExitCode.MISSING);
    assertThat(without.err())
        .isEqualTo(
            "winnow: the demo's model: start with ./winnow demo, or name a checkpoint with --model\n");
  }
}
