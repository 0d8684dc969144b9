package org.winnow.cli;

import java.awt.Color;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.style.Styler;

/** Bars in groups, as a PNG. */
final class BarChart {
  private final CategoryChart chart;

  BarChart(String title, String yTitle) {
    System.setProperty(
        "java.awt.headless",
        "true"); // read when the first class of AWT is loaded; nothing here opens a window
    chart =
        new CategoryChartBuilder().width(1400).height(600).title(title).yAxisTitle(yTitle).build();
    chart
        .getStyler()
        .setChartBackgroundColor(Color.WHITE)
        .setLegendPosition(Styler.LegendPosition.OutsideE);
    chart.getStyler().setYAxisMin(0.0).setYAxisMax(100.0).setXAxisLabelRotation(20);
    chart
        .getStyler()
        .setAvailableSpaceFill(0.85)
        .setLabelsVisible(true)
        .setLabelsFontColor(Color.DARK_GRAY);
  }

  /** One bar for each group; NaN for none. */
  void add(String name, List<String> groups, List<Double> values) {
    chart.addSeries(name, groups, values);
  }

  /** Refuses a file before the work for it that could not be written after it. */
  static void requireWritable(Path file) {
    boolean isNew = Files.notExists(file);
    try {
      Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE).close();
      if (isNew) Files.delete(file);
    } catch (IOException e) {
      throw ExitCode.cannotBeWritten(file, e);
    }
  }

  /**
   * @throws CommandException if the file cannot be written
   */
  void write(Path file) {
    try (OutputStream out = Files.newOutputStream(file)) {
      if (!ImageIO.write(BitmapEncoder.getBufferedImage(chart), "png", out))
        throw new IOException("this Java writes no PNG");
    } catch (IOException e) {
      throw ExitCode.cannotBeWritten(file, e);
    } catch (LinkageError
        | NullPointerException e) { // what Java throws on a system without a single font
      throw new CommandException(
          ExitCode.MISSING,
          "the chart "
              + file
              + " needs a font: install fontconfig and, say, fonts-dejavu-core ("
              + e
              + ")");
    }
  }
}
