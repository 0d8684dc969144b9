package org.winnow.cli;

import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Text that a command reads: the exact contents of a UTF-8 file, without a byte order mark at its
 * beginning. {@code -} stands for standard input.
 */
final class TextInput {
  /** Far beyond any context. A stream without an end is refused instead of filling the memory. */
  static final int MAX_BYTES = 256 << 20;

  private static final Path STANDARD_INPUT = Path.of("-");

  private TextInput() {}

  /** The name of a file in messages. */
  static String name(Path file) {
    return isStandardInput(file) ? "standard input" : file.toString();
  }

  static boolean isStandardInput(Path file) {
    return file.equals(STANDARD_INPUT);
  }

  /** Opens a file, or returns standard input. */
  static InputStream open(Path file, Terminal terminal) throws IOException {
    if (isStandardInput(file)) return terminal.in();
    if (Files.isDirectory(file))
      throw new CommandException(ExitCode.BAD_INPUT, file + ": expected a file, found a folder");
    return new NamedStream(file.toString(), Files.newInputStream(file));
  }

  /** A stream whose failures name the file. */
  private static final class NamedStream extends FilterInputStream {
    private final String name;

    NamedStream(String name, InputStream stream) {
      super(stream);
      this.name = name;
    }

    @Override
    public int read() throws IOException {
      try {
        return super.read();
      } catch (IOException e) {
        throw named(e);
      }
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      try {
        return super.read(bytes, offset, length);
      } catch (IOException e) {
        throw named(e);
      }
    }

    private IOException named(IOException failure) {
      return new FileSystemException(name, null, "cannot be read: " + ExitCode.reason(failure));
    }
  }

  /**
   * The text of a file, read as it is needed.
   *
   * @throws CommandException if it is a folder; reading throws it if the text is not UTF-8, with
   *     the offset, or longer than {@link #MAX_BYTES}
   */
  static Reader reader(Path file, Terminal terminal) throws IOException {
    return new Utf8Reader(name(file), open(file, terminal), MAX_BYTES);
  }

  /**
   * The text of these bytes.
   *
   * @throws CommandException with the name and the offset of the first bytes that are not UTF-8
   */
  static String decode(String name, byte[] bytes) {
    try {
      return all(new Utf8Reader(name, new ByteArrayInputStream(bytes), bytes.length));
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory has no errors
    }
  }

  private static String all(Reader reader) throws IOException {
    StringWriter text = new StringWriter();
    reader.transferTo(text);
    return text.toString();
  }
}
