package org.winnow.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongBinaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The limits that a container (cgroup v1 or v2) and the shell ({@code ulimit}) set this process. A
 * group's limit holds for all groups below it, so the least of them counts. {@link #NONE} stands
 * for no limit, and for one that cannot be read.
 *
 * @param memoryBytes beyond which the system ends a process of the group
 * @param memoryHighBytes beyond which it slows the group down
 * @param memoryUsedBytes what the group uses now, its page cache included; NONE outside a group
 * @param swapBytes how much of it may be swapped out
 * @param processors how many processors' time the group may use
 * @param openFiles how many descriptors this process may have
 * @param lockedBytes how much memory it may lock
 */
record Limits(
    long memoryBytes,
    long memoryHighBytes,
    long memoryUsedBytes,
    long swapBytes,
    double processors,
    long openFiles,
    long lockedBytes) {
  static final long NONE = Long.MAX_VALUE;

  /** Version 1 writes the largest multiple of a page for no limit. */
  private static final long UNLIMITED_V1 = 1L << 60;

  static Limits ofThisProcess() {
    return of(Path.of("/"));
  }

  /**
   * @param root holds {@code proc} and {@code sys}; another one in tests
   */
  static Limits of(Path root) {
    List<String> shell = lines(root.resolve("proc/self/limits"));
    CgroupFiles memory = CgroupFiles.of(root, "memory");
    CgroupFiles cpu = CgroupFiles.of(root, "cpu");
    boolean two = memory.isUnified();
    LongBinaryOperator least = Math::min;
    long bytes = memory.reduce(two ? "memory.max" : "memory.limit_in_bytes", least, NONE);
    long swap =
        two
            ? memory.reduce("memory.swap.max", least, NONE)
            : beyond(memory.reduce("memory.memsw.limit_in_bytes", least, NONE), bytes);
    return new Limits(
        bytes >= UNLIMITED_V1 ? NONE : bytes,
        two ? memory.reduce("memory.high", least, NONE) : NONE,
        memory.own(two ? "memory.current" : "memory.usage_in_bytes"),
        swap >= UNLIMITED_V1 ? NONE : swap,
        cpu.processors(),
        softLimit(shell, "Max open files"),
        softLimit(shell, "Max locked memory"));
  }

  /** Version 1 limits memory and swap together. */
  private static long beyond(long both, long memory) {
    return both >= UNLIMITED_V1 ? NONE : Math.max(0, both - memory);
  }

  private static long softLimit(List<String> limits, String name) {
    for (String line : limits) {
      if (line.startsWith(name))
        return number(line.substring(name.length()).strip().split(" +")[0]);
    }
    return NONE;
  }

  /** Anything that is no number, such as {@code max} and {@code unlimited}, is {@link #NONE}. */
  static long number(String text) {
    return text.matches("[0-9]{1,18}") ? Long.parseLong(text) : NONE;
  }

  static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException e) {
      return List.of(); // not every kernel has every file
    }
  }

  /** For people: what is limited. */
  String describe() {
    String memory =
        memoryBytes == NONE
            ? "memory not limited"
            : Units.bytes(memoryBytes)
                + " of memory"
                + (memoryUsedBytes == NONE ? "" : ", " + Units.bytes(memoryUsedBytes) + " in use")
                + (swapBytes == NONE ? "" : ", " + Units.bytes(swapBytes) + " of swap");
    String high =
        memoryHighBytes == NONE ? "" : ", slowed down beyond " + Units.bytes(memoryHighBytes);
    String time = Double.isInfinite(processors) ? "" : ", time of " + processors + " processors";
    return memory + high + time;
  }

  /** For people: what the shell limits. */
  String describeShell() {
    return (openFiles == NONE ? "any number of" : Long.toString(openFiles))
        + " open files, "
        + (lockedBytes == NONE ? "any amount of" : Units.bytes(lockedBytes))
        + " locked memory";
  }

  /** The files of the process's group for one controller, and of the groups above it. */
  private record CgroupFiles(@Nullable Path mount, Path group, boolean isUnified) {
    static CgroupFiles of(Path root, String controller) {
      for (String line : lines(root.resolve("proc/self/cgroup"))) { // hierarchy:controllers:path
        String[] parts = line.split(":", 3);
        if (parts.length < 3 || !List.of(parts[1].split(",")).contains(controller)) continue;
        Path mount = root.resolve("sys/fs/cgroup").resolve(controller);
        return of(mount, parts[2], false);
      }
      for (String line : lines(root.resolve("proc/self/cgroup"))) {
        if (line.startsWith("0::"))
          return of(root.resolve("sys/fs/cgroup"), line.substring(3), true);
      }
      return new CgroupFiles(null, root, true);
    }

    /** In a container the group may be mounted as the root, while its path is the host's. */
    private static CgroupFiles of(Path mount, String path, boolean isUnified) {
      Path group = mount.resolve(path.replaceFirst("^/+", "")).normalize();
      boolean visible = group.startsWith(mount) && Files.isDirectory(group);
      return new CgroupFiles(mount, visible ? group : mount, isUnified);
    }

    long own(String file) {
      return read(group, file);
    }

    /** This group and those around it, up to the mount. */
    private List<Path> groups() {
      List<Path> groups = new ArrayList<>();
      for (Path one = group;
          one != null && mount != null && one.startsWith(mount);
          one = one.getParent()) groups.add(one);
      return groups;
    }

    long reduce(String file, LongBinaryOperator operator, long none) {
      long result = none;
      for (Path one : groups()) result = operator.applyAsLong(result, read(one, file));
      return result;
    }

    double processors() {
      double least = Double.POSITIVE_INFINITY;
      for (Path one : groups()) {
        String[] both =
            isUnified
                ? String.join("", lines(one.resolve("cpu.max"))).split(" ")
                : new String[] {text(one, "cpu.cfs_quota_us"), text(one, "cpu.cfs_period_us")};
        if (both.length < 2 || number(both[0]) == NONE || number(both[1]) == NONE) continue;
        least = Math.min(least, number(both[0]) / (double) number(both[1]));
      }
      return least;
    }

    private static long read(Path directory, String file) {
      return number(text(directory, file));
    }

    private static String text(Path directory, String file) {
      return String.join("", lines(directory.resolve(file))).strip();
    }
  }
}
