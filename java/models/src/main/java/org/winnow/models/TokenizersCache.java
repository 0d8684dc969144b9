package org.winnow.models;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import org.winnow.cpu.NativeLibrary;

/**
 * The directories that the tokenizers' native library is unpacked to, below those of Winnow's own
 * natives. The name below it holds the library's size and checksum, so another version gets another
 * directory. What no process has used for a month is deleted when a version is unpacked.
 */
final class TokenizersCache {
  static final String FILE = "libtokenizers.so";
  static final String RESOURCE = "native/lib/linux-x86_64/cpu/" + FILE;

  private static final String PREFIX = "tokenizers-";
  private static final Duration KEPT = Duration.ofDays(30);

  private TokenizersCache() {}

  /** The directory cannot hold the library; the message is the reason. */
  static final class UnusableException extends Exception {
    private static final long serialVersionUID = 1L;

    UnusableException(String message) {
      super(message);
    }
  }

  /** The library's file below {@code directory}, written there if it is not yet. */
  static Path unpack(Path directory) throws UnusableException {
    URL resource = TokenizersLibrary.class.getClassLoader().getResource(RESOURCE);
    if (resource == null) throw new UnusableException("the class path has no " + RESOURCE);
    try {
      URLConnection connection = resource.openConnection();
      connection.setUseCaches(false); // the jar is not kept open after its class loader is closed
      try (InputStream content = connection.getInputStream()) {
        Path named = directory.resolve(PREFIX + name(connection));
        Path file = named.resolve(FILE);
        if (Files.isRegularFile(file) && Files.size(file) == connection.getContentLengthLong()) {
          requireMine(directory);
          touch(file);
          return file;
        }
        createDirectories(named);
        requireMine(directory);
        deleteOld(directory);
        write(content, file);
        return file;
      }
    } catch (IOException e) {
      throw new UnusableException(e.getClass().getSimpleName() + ": " + e.getMessage());
    }
  }

  private static String name(URLConnection connection) throws IOException {
    long checksum;
    if (connection instanceof JarURLConnection jar) checksum = jar.getJarEntry().getCrc();
    else
      try (CheckedInputStream content =
          new CheckedInputStream(connection.getURL().openStream(), new CRC32())) {
        content.transferTo(OutputStream.nullOutputStream());
        checksum = content.getChecksum().getValue();
      }
    return connection.getContentLengthLong() + "-" + Long.toHexString(checksum);
  }

  private static void createDirectories(Path directory) throws IOException {
    Files.createDirectories(
        directory,
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
  }

  /** Every user may write to the directory for temporary files. */
  private static void requireMine(Path directory) throws IOException {
    List<Path> all = NativeLibrary.cacheDirectories();
    if (!directory.equals(all.get(all.size() - 1))) return;
    String owner = Files.getOwner(directory, LinkOption.NOFOLLOW_LINKS).getName();
    if (!owner.equals(System.getProperty("user.name")))
      throw new IOException("belongs to " + owner);
  }

  /** A process that looks for the file finds the whole file or none. */
  private static void write(InputStream content, Path file) throws IOException {
    Path part = Files.createTempFile(file.getParent(), "part", ".so");
    try {
      Files.copy(content, part, StandardCopyOption.REPLACE_EXISTING);
      Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(part);
    }
  }

  private static void touch(Path file) {
    try {
      Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
    } catch (IOException e) {
      // a cache that can be read only; nothing is deleted from it either
    }
  }

  /** Deletes versions that were not used for long, and files of processes that were ended. */
  private static void deleteOld(Path directory) throws IOException {
    Instant oldest = Instant.now().minus(KEPT);
    try (Stream<Path> below = Files.walk(directory, 3)) {
      below
          .filter(path -> !path.equals(directory) && isOurs(directory.relativize(path)))
          .filter(path -> lastUse(path).isBefore(oldest)) // deleting changes a directory's time
          .sorted(Comparator.reverseOrder()) // what a directory holds before the directory
          .forEach(TokenizersCache::delete);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static boolean isOurs(Path relative) {
    return relative.getName(0).toString().startsWith(PREFIX);
  }

  private static Instant lastUse(Path path) {
    try {
      return Files.getLastModifiedTime(path, LinkOption.NOFOLLOW_LINKS).toInstant();
    } catch (IOException e) {
      return Instant.MAX; // another process has deleted it
    }
  }

  /** Applies {@code use} to a copy of a file beside it, then deletes the copy. */
  static void withCopy(Path file, Consumer<Path> use) {
    Path copy = null;
    try {
      // a directory of its own, because the name of the file is fixed
      Path directory = Files.createTempDirectory(file.getParent(), "copy");
      copy = directory.resolve(FILE);
      Files.copy(file, copy);
      use.accept(copy);
    } catch (IOException e) {
      UnsatisfiedLinkError error = new UnsatisfiedLinkError("cannot copy " + file + ": " + e);
      error.initCause(e);
      throw error;
    } finally {
      if (copy != null) {
        delete(copy);
        delete(Objects.requireNonNull(copy.getParent()));
      }
    }
  }

  /** Deletes an unpacked library that cannot be loaded. */
  static void discard(Path file) {
    delete(file);
    delete(Objects.requireNonNull(file.getParent()));
  }

  private static void delete(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      // it is not empty, or it is deleted as an old file later
    }
  }
}
