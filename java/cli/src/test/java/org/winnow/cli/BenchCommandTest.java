package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.workload.WrongResultException;

class BenchCommandTest {
  @TempDir Path folder;

  @Test
  void printsLimitsAndSharesAndDrawsThem() throws IOException {
    Path png = folder.resolve("bench.png");
    Path stats = folder.resolve("bench.json");
    CapturedRun run =
        CapturedRun.of(
            "bench", "--quick", "--shape", "olmoe", "--png", png, "--stats", stats, "--disk",
            folder);
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out())
        .contains(
            "memory, read",
            "bf16 arithmetic",
            "disk, read",
            "OLMoE",
            "router",
            "attention",
            "geometric mean",
            "chart: " + png);
    assertThat(run.err()).contains("bench: 100 %");
    Map<?, ?> json = JsonTree.parse(Files.readString(stats));
    CapturedRun other = CapturedRun.of("bench", "--shape", "olmoe", "--compare", stats);
    assertThat(other.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(other.err())
        .isEqualTo(
            "winnow: "
                + stats
                + ": cannot be compared: expected options.quick of this run, false, found true\n");
    List<?> results = (List<?>) json.get("results");
    assertThat(results)
        .hasSize(2 + 4)
        .allSatisfy(
            result -> {
              assertThat((double) ((Map<?, ?>) result).get("seconds")).isBetween(1e-9, 100.0);
              boolean isRouter = ((Map<?, ?>) result).get("operation").equals("router");
              assertThat(((Map<?, ?>) result).containsKey("share_of_limit")).isEqualTo(!isRouter);
              if (!isRouter)
                assertThat((double) ((Map<?, ?>) result).get("share_of_limit"))
                    .isPositive()
                    .isFinite();
            });
    BufferedImage image = ImageIO.read(png.toFile());
    assertThat(image.getWidth()).isGreaterThan(600);
    Set<Integer> colours = new HashSet<>();
    for (int x = 0; x < image.getWidth(); x++) {
      for (int y = 0; y < image.getHeight(); y++) colours.add(image.getRGB(x, y));
    }
    assertThat(colours).hasSizeGreaterThan(10);
    assertThat(folder).isDirectoryNotContaining("glob:**probe*");
  }

  @Test
  void aWrongResultIsACheckThatFailed() {
    WrongResultException wrong = new WrongResultException("router: expected 1, found 2");
    assertThat(ExitCode.of(wrong)).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(ExitCode.message(wrong)).isEqualTo("router: expected 1, found 2");
  }

  @Test
  void whatIsWrongIsNamed() {
    assertThat(CapturedRun.of("bench", "--threads", 0).exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(CapturedRun.of("bench", "--png", "chart.jpg").err())
        .contains("--png must end in .png");
    assertThat(CapturedRun.of("bench", "--disk", folder.resolve("absent")).err())
        .contains("--disk must be a folder");
    assertThat(CapturedRun.of("bench", "--shape", "gpt5").err()).contains("OLMOE");
  }

  @ParameterizedTest
  @ValueSource(strings = {"--stats", "--png"})
  void aFileThatCannotBeWrittenIsRefusedBeforeAnythingIsMeasured(String option) throws IOException {
    Path file = folder.resolve("absent/bench.png");
    CapturedRun absent = CapturedRun.of("bench", option, file);
    assertThat(absent.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(absent.err())
        .isEqualTo("winnow: " + file + ": cannot be written: no such file or directory\n");
    assertThat(absent.out()).isEmpty();
    Path directory = Files.createDirectory(folder.resolve("directory.png"));
    assertThat(CapturedRun.of("bench", option, directory).err())
        .isEqualTo("winnow: " + directory + ": cannot be written: Is a directory\n");
  }
}
