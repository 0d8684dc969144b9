package org.winnow.models;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** What this process holds, as the kernel counts it. */
final class OpenFiles {
  private OpenFiles() {}

  /** Open files that are safetensors. */
  static long count() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      return files.filter(OpenFiles::isWeights).count();
    }
  }

  private static boolean isWeights(Path link) {
    try {
      return Files.readSymbolicLink(link).toString().contains(".safetensors");
    } catch (IOException e) {
      return false; // closed meanwhile: the folder's own
    }
  }

  /** Resident memory in bytes. */
  static long residentBytes() throws IOException {
    return Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]) * 4096;
  }

  /** Threads of this process but those of the virtual machine, which come and go as it likes. */
  static long threads() throws IOException {
    try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
      return tasks.filter(OpenFiles::isOurs).count();
    }
  }

  private static boolean isOurs(Path task) {
    try {
      String name = Files.readString(task.resolve("comm"));
      return Stream.of("GC ", "G1 ", "C1 ", "C2 ", "VM ").noneMatch(name::startsWith);
    } catch (IOException e) {
      return false; // ended meanwhile
    }
  }
}
