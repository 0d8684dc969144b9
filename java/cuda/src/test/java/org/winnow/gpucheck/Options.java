package org.winnow.gpucheck;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;

/**
 * What the command line asks for.
 *
 * @param home folder of the bundle
 * @param seconds for all parts, the reserve not counted
 * @param standIn folder of a library that stands in for the driver, or null
 * @param output folder of the report
 * @param plan whether only the schedule is asked for
 */
record Options(Path home, int seconds, List<Part> parts, Path standIn, Path output, boolean plan) {
  private static final double DEFAULT_MINUTES = 8;

  /**
   * @param arguments the bundle's folder, then those of the user
   * @throws IllegalArgumentException naming the argument that is wrong
   */
  static Options parse(String... arguments) {
    Path home = Path.of(arguments[0]);
    double minutes = DEFAULT_MINUTES;
    List<Part> parts = Part.ALL;
    Path standIn = null;
    Path output = null;
    boolean plan = false;
    for (int i = 1; i < arguments.length; i++) {
      String name = arguments[i];
      switch (name) {
        case "--plan" -> plan = true;
        case "--minutes" -> minutes = minutes(value(name, arguments, ++i));
        case "--only" -> parts = parts(value(name, arguments, ++i));
        case "--stand-in" -> standIn = standIn(value(name, arguments, ++i));
        case "--out" -> output = Path.of(value(name, arguments, ++i)).toAbsolutePath();
        default -> throw new IllegalArgumentException("unknown argument " + name + "; see --help");
      }
    }
    if (output == null) {
      String now =
          LocalDateTime.now(ZoneOffset.UTC)
              .format(DateTimeFormatter.ofPattern("yyyy-MM-dd-HHmmss"));
      output = Path.of("gpu-report-" + now).toAbsolutePath();
    }
    int seconds = (int) (60 * minutes) - Part.RESERVE_SECONDS;
    return new Options(home, seconds, parts, standIn, output, plan);
  }

  private static String value(String name, String[] arguments, int i) {
    if (i == arguments.length) throw new IllegalArgumentException(name + " needs a value");
    return arguments[i];
  }

  private static double minutes(String text) {
    try {
      double minutes = Double.parseDouble(text);
      if (minutes >= 0.5 && minutes <= 600) return minutes;
    } catch (NumberFormatException e) {
      // as for a number out of range
    }
    throw new IllegalArgumentException("--minutes must lie in [0.5, 600], found " + text);
  }

  /** In the order of {@link Part#ALL}, whatever the order of the names. */
  private static List<Part> parts(String names) {
    List<Part> named = new ArrayList<>();
    for (String name : names.split(",")) named.add(Part.named(name));
    return Part.ALL.stream().filter(named::contains).toList();
  }

  private static Path standIn(String text) {
    Path library = Path.of(text).toAbsolutePath();
    if (!Files.isRegularFile(library) || !library.getFileName().toString().equals("libcuda.so.1"))
      throw new IllegalArgumentException("--stand-in must be a file libcuda.so.1, found " + text);
    return library.getParent();
  }

  /** What is needed only while the check runs. */
  Path work() {
    return output.resolve("work");
  }

  /** What looks like a checkout to tests that want whole models. */
  Path repository() {
    return home.resolve("repository");
  }

  Path model() {
    return repository().resolve("models/kjv-moe/config.json");
  }

  Object modelArchive() {
    return GpuCheck.version(home).getOrDefault("modelArchive", "with the model");
  }

  /** The program of that name, on the path or in a CUDA toolkit, or null. */
  Path tool(String name) {
    List<String> directories =
        new ArrayList<>(List.of((System.getenv("PATH") + "").split(File.pathSeparator)));
    directories.add("/usr/local/cuda/bin");
    directories.add("/opt/cuda/bin");
    for (String directory : directories) {
      Path program = Path.of(directory, name);
      if (Files.isExecutable(program) && !Files.isDirectory(program))
        return program.toAbsolutePath();
    }
    return null;
  }
}
