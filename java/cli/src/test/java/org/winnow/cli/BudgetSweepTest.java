package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.models.LoadOptions;

class BudgetSweepTest {
  private static final int[] PROMPT = {0, 17, 300};

  private static Terminal silent(Runnable afterLine) {
    StringWriter err =
        new StringWriter() {
          @Override
          public void flush() {
            afterLine.run();
          }
        };
    return new Terminal(
        InputStream.nullInputStream(),
        new PrintWriter(new StringWriter()),
        OutputStream.nullOutputStream(),
        new PrintWriter(err),
        false,
        false);
  }

  @Test
  void aSmallerBudgetReadsMoreAndTheBytesDependOnTheBudgetAlone() {
    BudgetSweep sweep = new BudgetSweep(Shipped.MODEL, LoadOptions.defaults(), PROMPT, 12, 1);
    assertThat(sweep.run(silent(() -> {}))).isTrue();
    List<BudgetChart.Point> points = sweep.points();
    assertThat(points)
        .extracting(BudgetChart.Point::budgetPercent)
        .containsExactly(10, 20, 30, 40, 50, 60, 70, 80, 90, 100);
    assertThat(points).allSatisfy(point -> assertThat(point.tokensPerSecond()).isPositive());
    assertThat(sweep.denseTokensPerSecond()).isPositive();
    for (int i = 1; i < points.size(); i++)
      assertThat(points.get(i).bytesRead()).isLessThanOrEqualTo(points.get(i - 1).bytesRead());
    assertThat(points.get(0).bytesRead()).isGreaterThan(2 * points.get(9).bytesRead());
    BudgetSweep again = new BudgetSweep(Shipped.MODEL, LoadOptions.defaults(), PROMPT, 12, 2);
    again.run(silent(() -> {}));
    assertThat(again.points())
        .extracting(BudgetChart.Point::bytesRead)
        .isEqualTo(points.stream().map(BudgetChart.Point::bytesRead).toList());
  }

  /** Experts that change in the file between two runs. */
  @Test
  void tokensThatDifferAreFound(@TempDir Path folder) throws IOException {
    try (Stream<Path> files = Files.list(Shipped.MODEL)) {
      for (Path file : files.toList()) Files.copy(file, folder.resolve(file.getFileName()));
    }
    AtomicBoolean changed = new AtomicBoolean();
    BudgetSweep sweep = new BudgetSweep(folder, LoadOptions.defaults(), PROMPT, 12, 1);
    boolean equal =
        sweep.run(
            silent(
                () -> {
                  if (!changed.getAndSet(true)) zeroSecondHalf(folder.resolve("model.safetensors"));
                }));
    assertThat(changed).isTrue();
    assertThat(equal).isFalse();
  }

  private static void zeroSecondHalf(Path file) {
    DemoCommandTest.overwrite(
        file, new byte[(int) (file.toFile().length() / 2)], file.toFile().length() / 2);
  }

  @Test
  void theChartHasALineForEachSeries(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("chart.png");
    List<BudgetChart.Point> points =
        List.of(new BudgetChart.Point(10, 100, 50 << 20), new BudgetChart.Point(100, 300, 1 << 20));
    new BudgetChart("title", points, 200).write(OutputFile.of(file, silent(() -> {})));
    BufferedImage image = ImageIO.read(file.toFile());
    Map<Integer, Integer> pixels = new HashMap<>();
    for (int x = 0; x < image.getWidth(); x++) {
      for (int y = 0; y < image.getHeight(); y++)
        pixels.merge(image.getRGB(x, y) & 0xFFFFFF, 1, Integer::sum);
    }
    for (int colour : new int[] {0x1B6AA5, 0xD9731A, 0x8A8A8A})
      assertThat(pixels.get(colour)).as("%06X", colour).isGreaterThan(300);
  }
}
