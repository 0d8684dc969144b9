package org.winnow.internal;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * Where natives from a jar are unpacked to: a directory of the user's, named after their content.
 */
final class NativeCache {
  private NativeCache() {}

  /**
   * The directory, created if need be: {@code $XDG_CACHE_HOME/winnow/HASH}, else {@code
   * ~/.cache/winnow/HASH}, else one below the directory for temporary files.
   *
   * @param manifest the list of the natives' hashes, as the build wrote it
   * @throws IOException naming the directories that were tried, if none can be written
   */
  static Path directory(byte[] manifest) throws IOException {
    List<Path> candidates = new ArrayList<>();
    String xdg = System.getenv("XDG_CACHE_HOME");
    if (xdg != null && Path.of(xdg).isAbsolute()) candidates.add(Path.of(xdg));
    candidates.add(Path.of(System.getProperty("user.home"), ".cache"));
    return directory(
        manifest,
        candidates,
        Path.of(System.getProperty("java.io.tmpdir")),
        System.getProperty("user.name"));
  }

  static Path directory(byte[] manifest, List<Path> candidates, Path temporary, String user)
      throws IOException {
    String hash = hash(manifest);
    StringBuilder tried = new StringBuilder();
    for (Path candidate : candidates) {
      Path directory = candidate.resolve("winnow").resolve(hash);
      if (isUsable(directory)) return directory;
      tried.append(directory).append(", ");
    }
    // Everybody may write there: only a directory that is ours counts.
    Path mine = temporary.resolve("winnow-" + user);
    Path directory = mine.resolve(hash);
    if (isUsable(directory)
        && Files.getOwner(mine, LinkOption.NOFOLLOW_LINKS).getName().equals(user)) return directory;
    throw new IOException("no directory can be written, tried " + tried + directory);
  }

  private static boolean isUsable(Path directory) {
    try {
      Files.createDirectories(
          directory,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      return Files.isWritable(directory);
    } catch (IOException | UnsupportedOperationException e) {
      return false; // the next candidate is tried; if none works all are named
    }
  }

  private static String hash(byte[] manifest) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(manifest), 0, 8);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has SHA-256
    }
  }
}
