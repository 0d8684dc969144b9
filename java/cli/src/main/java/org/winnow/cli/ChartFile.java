package org.winnow.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.internal.chartpart.Chart;

/** The PNG file that a chart is written to. */
final class ChartFile {
  private ChartFile() {}

  /** AWT reads this when its first class is loaded; no chart here opens a window. */
  static void requireNoDisplay() {
    System.setProperty("java.awt.headless", "true");
  }

  /** Whether a file has the name of a PNG, or is a stream, which has no such name. */
  static boolean isPng(Path file) {
    return file.toString().endsWith(".png") || OutputFile.isStream(file);
  }

  /**
   * @throws CommandException if the file cannot be written, or if the system has no font
   */
  static void write(Chart<?, ?> chart, OutputFile file) {
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    try {
      if (!ImageIO.write(BitmapEncoder.getBufferedImage(chart), "png", png))
        throw new CommandException(ExitCode.MISSING, "this Java writes no PNG");
      file.write(png.toByteArray());
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory has no errors
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
