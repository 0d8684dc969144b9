package org.winnow.models;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** The resources of this process, as the operating system counts them. */
final class OpenFiles {
  private OpenFiles() {}

  /** Number of open safetensors files. */
  static long count() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      return files.filter(OpenFiles::isWeights).count();
    }
  }

  private static boolean isWeights(Path link) {
    try {
      return Files.readSymbolicLink(link).toString().contains(".safetensors");
    } catch (IOException e) {
      return false; // closed meanwhile: the descriptor that lists this folder
    }
  }

  /** Resident memory in bytes. */
  static long residentBytes() throws IOException {
    return Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]) * 4096;
  }

  /**
   * Number of threads of this process without those of the virtual machine, whose number varies.
   */
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
