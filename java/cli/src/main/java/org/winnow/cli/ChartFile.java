package org.winnow.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
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

  static boolean isPng(Path file) {
    return file.toString().endsWith(".png");
  }

  /**
   * Checks, before the work whose result it will hold, that the file can be written. Leaves the
   * file as it was.
   *
   * @throws CommandException if the file cannot be written
   */
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
   * @throws CommandException if the file cannot be written, or if the system has no font
   */
  static void write(Chart<?, ?> chart, Path file) {
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
