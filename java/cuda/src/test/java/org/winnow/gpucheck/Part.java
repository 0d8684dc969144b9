package org.winnow.gpucheck;

import java.util.ArrayList;
import java.util.List;

/**
 * One step of the check.
 *
 * @param name for the command line and the report
 * @param does what it does, in words
 * @param limitSeconds the most that it gets
 * @param minSeconds with less it is left out
 */
record Part(String name, String does, int limitSeconds, int minSeconds) {
  static final Part DEVICE = new Part("device", "facts of driver, device and host", 20, 10);
  static final Part SMALL =
      new Part("small", "contract tests of all operations, small sizes", 130, 20);
  static final Part MODEL =
      new Part(
          "model",
          "tokens and logits of whole models, against the CPU's and the references",
          40,
          15);
  static final Part BACKEND =
      new Part("backend", "captured decoding, experts on the device, memory", 30, 10);
  static final Part LARGE = new Part("large", "contract tests, large sizes", 80, 30);
  static final Part KERNELS =
      new Part(
          "kernels",
          "the device's limits, then the time of each kernel as a share of them",
          60,
          15);
  static final Part BENCHMARKS = new Part("benchmarks", "JMH benchmarks", 60, 20);
  static final Part SANITIZER =
      new Part("sanitizer", "compute-sanitizer memcheck over the kernels", 25, 10);
  static final Part COUNTERS = new Part("counters", "ncu's counters of the kernels", 25, 10);

  /** The most valuable first. */
  static final List<Part> ALL =
      List.of(DEVICE, SMALL, MODEL, BACKEND, LARGE, KERNELS, BENCHMARKS, SANITIZER, COUNTERS);

  /** Seconds of the whole time that no part gets: for starting, stopping and the report. */
  static final int RESERVE_SECONDS = 10;

  /** A part with its time, 0 where it is left out. */
  record Planned(Part part, int seconds) {
    boolean runs() {
      return seconds > 0;
    }
  }

  /**
   * Gives each part its limit or what is left, in order. A part that needs more is left out. Where
   * there is more time than all limits, each part gets its share of that.
   */
  static List<Planned> plan(List<Part> parts, int seconds) {
    List<Planned> planned = new ArrayList<>();
    int left = Math.max(0, seconds);
    int all = Math.max(1, parts.stream().mapToInt(Part::limitSeconds).sum());
    for (Part part : parts) {
      long share = Math.max(part.limitSeconds, (long) part.limitSeconds * seconds / all);
      int given = (int) Math.min(share, left);
      if (given < part.minSeconds) given = 0;
      planned.add(new Planned(part, given));
      left -= given;
    }
    return planned;
  }

  static Part named(String name) {
    return ALL.stream()
        .filter(part -> part.name.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "there is no part " + name + "; there are " + names(ALL)));
  }

  static String names(List<Part> parts) {
    return String.join(", ", parts.stream().map(Part::name).toList());
  }
}
