package org.winnow.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the operating system says that this process took. */
final class ProcessMemory {
  private ProcessMemory() {}

  /**
   * The most memory that was resident at a time, in bytes: {@code VmHWM} of {@code
   * /proc/self/status}; -1 where there is no such file.
   */
  static long peakBytes() {
    try {
      return Files.readAllLines(Path.of("/proc/self/status")).stream()
          .filter(line -> line.startsWith("VmHWM:"))
          .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("[^0-9]", "")))
          .findFirst()
          .orElse(-1);
    } catch (IOException e) {
      return -1;
    }
  }
}
