package org.winnow.cli;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The class data archive that the launcher makes for its JDK and gives to the JVM: classes that are
 * mapped rather than parsed. The JVM decides whether an archive fits.
 *
 * @param file its path; null if the launcher gave none
 * @param used whether the JVM has mapped it
 */
record ClassArchive(@Nullable Path file, boolean used) {
  static ClassArchive ofThisProcess() {
    String file = System.getProperty("winnow.archive");
    boolean sharing = System.getProperty("java.vm.info", "").contains("sharing");
    return new ClassArchive(file == null ? null : Path.of(file), file != null && sharing);
  }

  /**
   * A line for people if the JVM has refused the archive; else null.
   *
   * @param javaOptions {@code WINNOW_JAVA_OPTIONS}: an archive need not fit to the options of a
   *     user, such as another collector, so nothing is said where there are some
   */
  @Nullable String warning(@Nullable String javaOptions) {
    if (file == null || used || (javaOptions != null && !javaOptions.isBlank())) return null;
    return "the class data archive "
        + file
        + " is damaged or of another JVM: starting without it takes longer; delete it, and the next"
        + " start makes it anew";
  }

  /** For people. */
  String describe() {
    if (file == null) return "none: the launcher makes one where it can write build/";
    return file + (used ? "" : " is not used: it is damaged, or does not fit this JVM's options");
  }
}
