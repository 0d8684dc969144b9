package org.winnow.memory;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What shows that a file is another one than before, or has been written to.
 *
 * @param fileKey identifies the file on its machine, whatever its name; null if the file system has
 *     no such thing
 */
record FileState(long sizeBytes, FileTime modified, @Nullable Object fileKey) {
  static FileState of(Path file) throws IOException {
    BasicFileAttributes found = Files.readAttributes(file, BasicFileAttributes.class);
    return new FileState(found.size(), found.lastModifiedTime(), found.fileKey());
  }

  /** Compares as every record does, without the method that Java makes for one. */
  // That one leaves its class in a static field of the JDK (ObjectMethods), which keeps the last
  // class loader that compared a record.
  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof FileState state
        && sizeBytes == state.sizeBytes
        && modified.equals(state.modified)
        && Objects.equals(fileKey, state.fileKey);
  }

  @Override
  public int hashCode() {
    return Objects.hash(sizeBytes, modified, fileKey);
  }

  /** For messages. */
  @Override
  public String toString() {
    return sizeBytes + " bytes modified " + modified;
  }
}
