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
 * The directory that natives from a jar are unpacked to. It belongs to the user, and its name is a
 * hash of the natives.
 */
final class NativeCache {
  private NativeCache() {}

  /**
   * Returns the first of these directories that can be written, and creates it if necessary: {@code
   * $XDG_CACHE_HOME/winnow/HASH}, {@code ~/.cache/winnow/HASH}, {@code winnow-USER/HASH} below the
   * directory for temporary files.
   *
   * @param manifest the list of the natives' hashes, written by the build
   * @throws IOException naming all directories tried, if none can be written
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
    // Every user may write there, so the directory must belong to this user.
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
      return false; // the caller tries the next candidate
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
