package org.winnow.memory;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
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

  /** For messages. */
  @Override
  public String toString() {
    return sizeBytes + " bytes modified " + modified;
  }
}
