package org.winnow.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
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
  private static final char BYTE_ORDER_MARK = '\uFEFF';

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
    return Files.newInputStream(file);
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
   * The text of a file.
   *
   * @throws CommandException if it is not UTF-8, with the offset, or longer than {@link #MAX_BYTES}
   */
  static String read(Path file, Terminal terminal) throws IOException {
    byte[] bytes;
    try (InputStream in = open(file, terminal)) {
      bytes = in.readNBytes(MAX_BYTES + 1);
    }
    if (bytes.length > MAX_BYTES)
      throw new CommandException(
          ExitCode.BAD_INPUT,
          name(file) + ": expected at most " + Units.bytes(MAX_BYTES) + " of text, found more");
    return decode(name(file), bytes);
  }

  /**
   * The text of these bytes.
   *
   * @throws CommandException with the name and the offset of the first bytes that are not UTF-8
   */
  static String decode(String name, byte[] bytes) {
    CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
    ByteBuffer in = ByteBuffer.wrap(bytes);
    CharBuffer out = CharBuffer.allocate(bytes.length);
    CoderResult result = decoder.decode(in, out, true);
    if (result.isError())
      throw new CommandException(
          ExitCode.BAD_INPUT,
          name
              + ": expected UTF-8 text, found byte 0x"
              + String.format("%02x", bytes[in.position()])
              + " at offset "
              + in.position());
    String text = out.flip().toString();
    return text.isEmpty() || text.charAt(0) != BYTE_ORDER_MARK ? text : text.substring(1);
  }
}
