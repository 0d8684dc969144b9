package org.winnow.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.cpu.NativeLibrary;

/** The directories that natives may be unpacked to, in the order in which they are tried. */
final class Directories {
  private Directories() {}

  /** For people: the first that can be used, and what is wrong with those before it. */
  static String describeCache() {
    List<String> refusals = new ArrayList<>();
    for (Path directory : NativeLibrary.cacheDirectories()) {
      @Nullable String refusal = refusal(directory);
      refusals.add(refusal == null ? directory.toString() : directory.getParent() + " " + refusal);
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
    return NativeLibrary.cacheRefusal(existing);
  }
}
