package org.winnow.gpucheck;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Runs the parts of the check, the most valuable first, and writes the report after each. Called by
 * the script {@code gpu-check} of a bundle.
 *
 * <p>A part that ends early leaves its time to the later ones. So a part that did not fit the plan
 * may run.
 */
public final class GpuCheck {
  private static final int FAILED = 1;
  private static final int WRONG_USE = 2;
  private static final int NO_GPU = 5;

  private final Options options;
  private final Report report;
  private final long begin = System.nanoTime();

  private GpuCheck(Options options, Report report) {
    this.options = options;
    this.report = report;
  }

  public static void main(String[] arguments) throws IOException {
    Options options;
    try {
      options = Options.parse(arguments);
    } catch (IllegalArgumentException e) {
      System.err.println("gpu-check: " + e.getMessage());
      System.exit(WRONG_USE);
      return;
    }
    if (options.plan()) {
      System.out.print(schedule(options));
      return;
    }
    Files.createDirectories(options.work());
    GpuCheck check = new GpuCheck(options, new Report(options));
    int exitCode = check.run();
    delete(options.work());
    System.exit(exitCode);
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path path : all.sorted(Comparator.reverseOrder()).toList()) Files.delete(path);
    }
  }

  /** The parts with their times, as text. */
  static String schedule(Options options) {
    StringBuilder text = new StringBuilder();
    int sum = Part.RESERVE_SECONDS;
    Iterator<Part.Planned> planned = plan(options, options.parts(), options.seconds()).iterator();
    for (Part part : options.parts()) {
      String why = absence(options, part);
      int seconds = why == null ? planned.next().seconds() : 0;
      if (why == null && seconds == 0) why = tooShort(part);
      sum += seconds;
      String time = why == null ? "at most " + seconds + " s" : "left out: " + why;
      text.append(String.format("%-11s %-14s  %s%n", part.name(), time, part.does()));
    }
    text.append(
        String.format(
            "%-11s %-14s  starting, stopping, the report%n", "", Part.RESERVE_SECONDS + " s"));
    text.append(String.format("%-11s at most %d s%n", "all", sum));
    return text.toString();
  }

  /** The times of those parts that can run on this machine. */
  private static List<Part.Planned> plan(Options options, List<Part> parts, int seconds) {
    return Part.plan(
        parts.stream().filter(part -> absence(options, part) == null).toList(), seconds);
  }

  private static String tooShort(Part part) {
    return "no time, needs at least " + part.minSeconds() + " s";
  }

  /** Why a part cannot run on this machine, or null. */
  private static String absence(Options options, Part part) {
    if (part == Part.MODEL && !Files.exists(options.model()))
      return "no model: put the archive " + options.modelArchive() + " beside this bundle's";
    if (part == Part.SANITIZER || part == Part.COUNTERS) {
      String tool = part == Part.SANITIZER ? "compute-sanitizer" : "ncu";
      if (options.tool(tool) == null) return "no " + tool + " on this machine";
      if (options.standIn() != null) return tool + " needs a GPU";
    }
    return null;
  }

  private int secondsLeft() {
    return (int) (options.seconds() - (System.nanoTime() - begin) / 1_000_000_000);
  }

  private int run() throws IOException {
    List<Part> parts = new ArrayList<>(options.parts());
    while (!parts.isEmpty()) {
      Part part = parts.get(0);
      String why = absence(options, part);
      int seconds = why == null ? plan(options, parts, secondsLeft()).get(0).seconds() : 0;
      if (why == null && seconds == 0)
        why = tooShort(part) + ", " + Math.max(0, secondsLeft()) + " s were left";
      parts.remove(0);
      PartResult result =
          why != null ? PartResult.leftOut(part, why) : new PartRun(options, part, seconds).run();
      report.add(result);
      report.write();
      System.out.println(result.line());
      if (part == Part.DEVICE && result.unavailability() != null) {
        System.err.println("gpu-check: no GPU that can be used: " + result.unavailability());
        System.out.println("gpu-check: the report is " + report.file());
        return NO_GPU;
      }
    }
    System.out.println("gpu-check: " + report.summary() + "; the report is " + report.file());
    return report.isGood() ? 0 : FAILED;
  }

  /** Names and values of the version file of the bundle. */
  static Map<String, Object> version(Path home) {
    List<Map<String, Object>> lines = new ResultLines(home.resolve("version.json")).read();
    return lines.isEmpty() ? Map.of() : lines.get(0);
  }
}
