package org.winnow.gpucheck;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What came of a part.
 *
 * @param state passed, failed, stopped at its limit, crashed, or left out
 * @param text why, where it has not passed
 * @param failures what failed, each with its text
 */
record PartResult(
    Part part,
    String state,
    String text,
    int limitSeconds,
    double seconds,
    int passed,
    int skipped,
    List<String> failures,
    List<Map<String, Object>> lines) {
  static final String PASSED = "passed";
  static final String FAILED = "failed";
  static final String STOPPED = "stopped at its limit";
  static final String CRASHED = "crashed";
  static final String LEFT_OUT = "left out";

  private static final int CRASH_LINES = 12;

  static PartResult leftOut(Part part, String why) {
    return new PartResult(part, LEFT_OUT, why, 0, 0, 0, 0, List.of(), List.of());
  }

  static PartResult of(
      Part part,
      int limitSeconds,
      List<Map<String, Object>> lines,
      PartRun.End end,
      Options options,
      Path log)
      throws IOException {
    List<String> failures = new ArrayList<>();
    Set<String> running = new LinkedHashSet<>();
    int passed = 0;
    int skipped = 0;
    for (Map<String, Object> line : lines) {
      String test = line.get("class") + " " + line.get("test");
      switch (String.valueOf(line.get("state"))) {
        case "begun" -> running.add(test);
        case "passed" -> passed++;
        case "failed" -> failures.add(test + "\n" + line.getOrDefault("text", ""));
        case "skipped" -> {
          skipped++;
          if (part == Part.SMALL || part == Part.LARGE) // of these nothing may be skipped
          failures.add(test + "\nskipped: " + line.getOrDefault("text", ""));
        }
        default -> {}
      }
      if (!"begun".equals(line.get("state"))) running.remove(test);
      if ("not run".equals(line.get("kind"))
          && String.valueOf(line.get("text")).startsWith("ended"))
        failures.add(line.get("what") + "\n" + line.get("text"));
    }
    String at = running.isEmpty() ? "" : "running then: " + String.join(", ", running);
    String state = PASSED;
    String text = "";
    if (!failures.isEmpty()) state = FAILED;
    if (end.stopped()) {
      state = failures.isEmpty() ? STOPPED : FAILED;
      text = failures.isEmpty() ? at : (STOPPED + "; " + at).replaceFirst("; $", "");
    } else if (part == Part.SANITIZER && end.exitCode() == Commands.FOUND) {
      state = FAILED;
      text = "compute-sanitizer found something";
    } else if (end.exitCode() != 0 && failures.isEmpty()) {
      state = CRASHED;
      text =
          "exit code "
              + end.exitCode()
              + (at.isEmpty() ? "" : ", " + at)
              + "\n"
              + crash(options, part, log);
    } else if (part != Part.BENCHMARKS && lines.isEmpty()) {
      state = FAILED;
      text = "it wrote no result; see " + log.getFileName();
    }
    return new PartResult(
        part,
        state,
        text,
        limitSeconds,
        end.seconds(),
        passed,
        skipped,
        List.copyOf(failures),
        lines);
  }

  /** What the virtual machine, or the end of the log, says of a crash. */
  private static String crash(Options options, Part part, Path log) throws IOException {
    Path crash = Commands.crash(options, part);
    if (Files.exists(crash)) {
      return Files.readAllLines(crash).stream()
          .filter(line -> line.startsWith("# ") || line.startsWith("J ") || line.startsWith("C "))
          .limit(CRASH_LINES)
          .reduce("", (a, b) -> a + b + "\n");
    }
    List<String> lines = Files.exists(log) ? Files.readAllLines(log) : List.of();
    return String.join("\n", lines.subList(Math.max(0, lines.size() - CRASH_LINES), lines.size()));
  }

  /** Why there is no device, or null. */
  String unavailability() {
    return lines.stream()
        .filter(line -> "unavailable".equals(line.get("kind")))
        .map(line -> String.valueOf(line.get("text")))
        .findFirst()
        .orElse(null);
  }

  boolean ran() {
    return !state.equals(LEFT_OUT);
  }

  boolean isGood() {
    return !ran() || state.equals(PASSED);
  }

  /** {@code "small: passed, 812 tests, 45 s"}. */
  String line() {
    String first = text.lines().findFirst().orElse("");
    String tests = passed + failures.size() + skipped == 0 ? "" : ", " + counts();
    return part.name()
        + ": "
        + state
        + (first.isEmpty() ? "" : ": " + first)
        + tests
        + (ran() ? String.format(java.util.Locale.ROOT, ", %.0f s", seconds) : "");
  }

  String counts() {
    return "passed " + passed + ", failed " + failures.size() + ", skipped " + skipped;
  }
}
