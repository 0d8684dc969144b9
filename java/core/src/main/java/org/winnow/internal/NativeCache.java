package org.winnow.internal;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The directory that natives from a jar are unpacked to. It belongs to the user, and its name is a
 * hash of the natives. A program marks its directory as in use until it ends. When it begins, it
 * deletes directories of other natives that no program uses and that none has used for a day.
 */
public final class NativeCache {
  private static final String MARK = ".in-use"; // locked by each program that uses the directory
  private static final Duration KEPT = Duration.ofDays(1);

  private static final FileAttribute<?> PRIVATE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  private static @Nullable FileChannel inUse; // holds the lock until this class is unloaded

  private NativeCache() {}

  /**
   * Returns the first of these directories that can be written and holds programs, and creates it
   * if necessary: {@code $XDG_CACHE_HOME/winnow/HASH}, {@code ~/.cache/winnow/HASH}, {@code
   * winnow-USER/HASH} below the directory for temporary files.
   *
   * @param manifest the list of the natives' hashes, written by the build
   * @throws IOException naming all directories tried and what is wrong with each
   */
  static Path directory(byte[] manifest) throws IOException {
    Path directory = directory(manifest, parents(), temporary(), user());
    inUse = markAsUsed(directory);
    deleteUnused(directory, Instant.now().minus(KEPT));
    return directory;
  }

  private static List<Path> parents() {
    List<Path> parents = new ArrayList<>();
    String xdg = System.getenv("XDG_CACHE_HOME");
    if (xdg != null && Path.of(xdg).isAbsolute()) parents.add(Path.of(xdg));
    parents.add(Path.of(System.getProperty("user.home"), ".cache"));
    return parents;
  }

  private static Path temporary() {
    return Path.of(System.getProperty("java.io.tmpdir"));
  }

  private static String user() {
    return System.getProperty("user.name");
  }

  private static Path ofUser(Path temporary, String user) {
    return temporary.resolve("winnow-" + user);
  }

  /** The directories below which natives are unpacked, in the order in which they are tried. */
  public static List<Path> candidates() {
    List<Path> candidates = new ArrayList<>();
    for (Path parent : parents()) candidates.add(parent.resolve("winnow"));
    candidates.add(ofUser(temporary(), user()));
    return candidates;
  }

  static Path directory(byte[] manifest, List<Path> candidates, Path temporary, String user)
      throws IOException {
    String hash = hash(manifest);
    List<String> refusals = new ArrayList<>();
    for (Path candidate : candidates) {
      Path directory = candidate.resolve("winnow").resolve(hash);
      @Nullable String refusal = refusal(directory);
      if (refusal == null) return directory;
      refusals.add(directory + " (" + refusal + ")");
    }
    // Every user may write there, so the directory must belong to this user.
    Path mine = ofUser(temporary, user);
    Path directory = mine.resolve(hash);
    @Nullable String refusal = refusal(directory);
    if (refusal == null && !Files.getOwner(mine, LinkOption.NOFOLLOW_LINKS).getName().equals(user))
      refusal = "belongs to another user";
    if (refusal == null) return directory;
    refusals.add(directory + " (" + refusal + ")");
    throw new IOException("no directory can be used, tried " + String.join(", ", refusals));
  }

  private static @Nullable String refusal(Path directory) {
    try {
      Files.createDirectories(directory, PRIVATE);
      return probe(directory);
    } catch (IOException | UnsupportedOperationException e) {
      return "cannot be written"; // the caller tries the next candidate
    }
  }

  /** What keeps libraries from being unpacked into this directory and loaded from it, or null. */
  public static @Nullable String probe(Path directory) {
    try {
      Path file = Files.createTempFile(directory, ".probe", null, PRIVATE);
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

  /** Best effort: without the mark, the directory may be deleted once it is a day old. */
  static @Nullable FileChannel markAsUsed(Path directory) {
    @Nullable FileChannel channel = null;
    try {
      Files.setLastModifiedTime(directory, FileTime.from(Instant.now()));
      channel = open(directory);
      if (channel.tryLock(0, 1, true) != null) return channel;
    } catch (OverlappingFileLockException e) {
      return channel; // another class loader has locked it; to close any channel would unlock it
    } catch (IOException e) {
      // a file system without locks
    }
    close(channel);
    return null;
  }

  /** Deletes what lies beside a directory, is like it, and has not been used since then. */
  static void deleteUnused(Path directory, Instant since) {
    try (Stream<Path> all = Files.list(directory.resolveSibling("."))) {
      for (Path other : (Iterable<Path>) all::iterator) {
        boolean isAlike = other.getFileName().toString().matches("[0-9a-f]{16}");
        if (isAlike
            && !other.getFileName().equals(directory.getFileName())
            && Files.isDirectory(other, LinkOption.NOFOLLOW_LINKS)
            && Files.getLastModifiedTime(other).toInstant().isBefore(since))
          deleteUnlessUsed(other);
      }
    } catch (IOException e) {
      // it stays until the next time
    }
  }

  private static void deleteUnlessUsed(Path directory) throws IOException {
    try (FileChannel channel = open(directory);
        FileLock lock = channel.tryLock()) {
      if (lock == null) return;
      try (Stream<Path> files = Files.walk(directory)) {
        List<Path> deepestFirst = files.sorted(Comparator.reverseOrder()).toList();
        for (Path file : deepestFirst) Files.deleteIfExists(file);
      }
    } catch (OverlappingFileLockException e) {
      // in use by another class loader of this program
    }
  }

  private static FileChannel open(Path directory) throws IOException {
    return FileChannel.open(
        directory.resolve(MARK),
        StandardOpenOption.CREATE,
        StandardOpenOption.READ,
        StandardOpenOption.WRITE);
  }

  private static void close(@Nullable FileChannel channel) {
    try {
      if (channel != null) channel.close();
    } catch (IOException e) {
      // nothing was written
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
