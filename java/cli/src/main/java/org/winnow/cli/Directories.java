package org.winnow.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The directories that natives may be unpacked to, in the order in which they are tried. */
final class Directories {
  private Directories() {}

  /** For people: the first that can be used, and what is wrong with those before it. */
  static String describeCache() {
    Path temporary = Path.of(System.getProperty("java.io.tmpdir"));
    List<Path> parents = new ArrayList<>();
    @Nullable String xdg = System.getenv("XDG_CACHE_HOME");
    if (xdg != null && Path.of(xdg).isAbsolute()) parents.add(Path.of(xdg));
    parents.add(Path.of(System.getProperty("user.home"), ".cache"));
    parents.add(temporary);
    List<String> refusals = new ArrayList<>();
    for (Path parent : parents) {
      @Nullable String refusal = refusal(parent);
      String name = parent == temporary ? "winnow-" + System.getProperty("user.name") : "winnow";
      refusals.add(refusal == null ? parent.resolve(name).toString() : parent + " " + refusal);
      if (refusal == null) return String.join("; ", refusals);
    }
    return String.join("; ", refusals) + ": set XDG_CACHE_HOME";
  }

  /** For people: whether temporary files can be made, and may hold programs. */
  static String describeTemporary() {
    Path directory = Path.of(System.getProperty("java.io.tmpdir"));
    @Nullable String refusal = refusal(directory);
    return directory + (refusal == null ? "" : " " + refusal + ": set -Djava.io.tmpdir");
  }

  /** What keeps libraries from being unpacked into a directory and loaded from it, or null. */
  static @Nullable String refusal(Path directory) {
    Path existing = directory.toAbsolutePath();
    while (!Files.exists(existing) && existing.getParent() != null) existing = existing.getParent();
    try {
      Path file =
          Files.createTempFile(
              existing,
              ".winnow-doctor",
              null,
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      try {
        // the system says no for a file of any mode where it is mounted with noexec
        return Files.isExecutable(file) ? null : "is mounted with noexec";
      } finally {
        Files.delete(file);
      }
    } catch (IOException | UnsupportedOperationException e) {
      return "cannot be written";
    }
  }
}
