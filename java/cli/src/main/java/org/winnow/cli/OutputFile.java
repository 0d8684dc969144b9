package org.winnow.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A file for the results of a command, written whole or not at all: to a temporary file beside it,
 * which then takes its place. {@code -} stands for standard output. A link keeps pointing at the
 * file that is replaced. A device or a pipe is written directly.
 */
final class OutputFile {
  private static final Path STANDARD_OUTPUT = Path.of("-");
  private static final Set<String> NAMES_OF_STANDARD_OUTPUT =
      Set.of("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1");
  private static final int MAX_LINKS = 40; // as Linux allows

  private final Path file; // as the user named it
  private final Terminal terminal;
  private final @Nullable Path place; // where the contents go; null for standard output
  private final boolean replaced; // whether a temporary file takes this place

  private OutputFile(Path file, Terminal terminal, @Nullable Path place, boolean replaced) {
    this.file = file;
    this.terminal = terminal;
    this.place = place;
    this.replaced = replaced;
  }

  /**
   * Checks, before the work whose result it will hold, that the file can be written. Leaves it as
   * it was.
   *
   * @throws CommandException if it cannot be written
   */
  static OutputFile of(Path file, Terminal terminal) {
    if (isStandardOutput(file)) return new OutputFile(file, terminal, null, false);
    try {
      Path place = followLinks(file);
      boolean exists = Files.exists(place);
      if (Files.isDirectory(place)) throw new FileSystemException("", null, "Is a directory");
      if (exists && !Files.isWritable(place))
        throw new FileSystemException("", null, "permission denied");
      boolean special = isOpenFile(place) || exists && !Files.isRegularFile(place);
      return new OutputFile(file, terminal, place, !special && canBeReplaced(place, exists));
    } catch (IOException e) {
      throw ExitCode.cannotBeWritten(file, e);
    }
  }

  static boolean isStandardOutput(Path file) {
    return file.equals(STANDARD_OUTPUT) || NAMES_OF_STANDARD_OUTPUT.contains(file.toString());
  }

  /** Whether this is standard output, a device or a pipe, so that its name tells nothing. */
  static boolean isStream(Path file) {
    boolean named = Files.exists(file) && !Files.isRegularFile(file) && !Files.isDirectory(file);
    return isStandardOutput(file) || named;
  }

  boolean isStandardOutput() {
    return place == null;
  }

  /**
   * Writes the contents.
   *
   * @throws CommandException if that fails; a file that was there is then as it was, unless it is
   *     in a directory in which no file can be created
   */
  void write(byte[] contents) {
    try {
      if (place == null) {
        writeToStandardOutput(contents);
      } else if (!replaced || !replace(place, contents)) {
        overwrite(place, contents);
      }
    } catch (IOException e) {
      throw ExitCode.cannotBeWritten(file, e);
    }
  }

  /** A failure shows at the end of the process, as with all of standard output. */
  private void writeToStandardOutput(byte[] contents) {
    terminal.out().flush();
    try {
      terminal.outBytes().write(contents);
      terminal.outBytes().flush();
    } catch (IOException e) {
      // Terminal.Output keeps the reason, and Main reports it.
    }
  }

  /** Whether this is a name of an open file of a process: it must not be replaced. */
  private static boolean isOpenFile(Path file) {
    Path absolute = file.toAbsolutePath().normalize();
    return absolute.startsWith("/proc")
        || absolute.startsWith("/dev/fd")
        || absolute.startsWith("/dev/stderr");
  }

  /** The file at the end of the links, which need not exist; a name of an open file stays one. */
  private static Path followLinks(Path file) throws IOException {
    Path place = file.toAbsolutePath();
    for (int links = 0; Files.isSymbolicLink(place) && !isOpenFile(place); links++) {
      if (links == MAX_LINKS)
        throw new FileSystemException("", null, "Too many levels of symbolic links");
      place = place.resolveSibling(Files.readSymbolicLink(place));
    }
    return place;
  }

  /** Whether a file can be created beside this one; if not, one that exists is overwritten. */
  private static boolean canBeReplaced(Path place, boolean exists) throws IOException {
    Path temporary = temporary(place);
    try {
      Files.createFile(temporary);
      Files.delete(temporary);
      return true;
    } catch (IOException e) {
      if (exists) return false;
      throw e;
    }
  }

  private static Path temporary(Path place) {
    return place.resolveSibling(".winnow-" + UUID.randomUUID());
  }

  /** False if the directory does not let this file take the place of the old one. */
  private static boolean replace(Path place, byte[] contents) throws IOException {
    Path temporary = temporary(place);
    try {
      try (FileChannel channel =
          FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        ByteBuffer rest = ByteBuffer.wrap(contents);
        while (rest.hasRemaining()) channel.write(rest);
        channel.force(true);
      }
      if (Files.exists(place, LinkOption.NOFOLLOW_LINKS))
        Files.setPosixFilePermissions(temporary, Files.getPosixFilePermissions(place));
      return move(temporary, place);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private static boolean move(Path temporary, Path place) throws IOException {
    try {
      Files.move(temporary, place, StandardCopyOption.ATOMIC_MOVE);
      return true;
    } catch (FileSystemException e) { // another user's file in a directory such as /tmp
      if (Files.isWritable(place)) return false;
      throw e;
    }
  }

  private static void overwrite(Path place, byte[] contents) throws IOException {
    StandardOpenOption how =
        isOpenFile(place) ? StandardOpenOption.APPEND : StandardOpenOption.TRUNCATE_EXISTING;
    try (OutputStream out = Files.newOutputStream(place, StandardOpenOption.WRITE, how)) {
      out.write(contents);
    }
  }
}
