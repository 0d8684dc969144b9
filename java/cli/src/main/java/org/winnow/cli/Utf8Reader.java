package org.winnow.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;

/**
 * Reads UTF-8 text of a limited length, without a byte order mark at its beginning. Bytes that are
 * not UTF-8 are refused with their offset.
 */
final class Utf8Reader extends Reader {
  private static final char BYTE_ORDER_MARK = '\uFEFF';

  private final String name;
  private final InputStream stream;
  private final long maxBytes;
  private final CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
  private final ByteBuffer bytes = ByteBuffer.allocate(1 << 16).flip();
  private long read; // bytes of the stream that were read
  private boolean begun;
  private boolean ended;

  Utf8Reader(String name, InputStream stream, long maxBytes) {
    this.name = name;
    this.stream = stream;
    this.maxBytes = maxBytes;
  }

  /**
   * @throws CommandException if the text is not UTF-8, or longer than allowed
   */
  @Override
  public int read(char[] target, int offset, int length) throws IOException {
    if (length == 0) return 0;
    CharBuffer out = CharBuffer.wrap(target, offset, length);
    while (out.position() == 0) {
      CoderResult result = decoder.decode(bytes, out, ended);
      if (result.isError()) throw notUtf8();
      if (!begun && out.position() > 0) {
        begun = true;
        if (out.get(0) == BYTE_ORDER_MARK) out = withoutFirst(out);
      }
      if (out.position() > 0) break;
      if (result.isOverflow()) break; // half a pair does not fit into one character
      if (ended) return -1;
      fill();
    }
    if (out.position() == 0) throw new IOException("a buffer of one character is too small");
    return out.position();
  }

  private static CharBuffer withoutFirst(CharBuffer out) {
    out.flip().get();
    return out.compact();
  }

  private void fill() throws IOException {
    bytes.compact();
    int count = stream.read(bytes.array(), bytes.position(), bytes.remaining());
    if (count < 0) ended = true;
    else {
      bytes.position(bytes.position() + count);
      read += count;
    }
    bytes.flip();
    if (read > maxBytes)
      throw new CommandException(
          ExitCode.BAD_INPUT,
          name + ": expected at most " + Units.bytes(maxBytes) + " of text, found more");
  }

  private CommandException notUtf8() {
    return new CommandException(
        ExitCode.BAD_INPUT,
        name
            + ": expected UTF-8 text, found byte 0x"
            + String.format("%02x", bytes.get(bytes.position()))
            + " at offset "
            + (read - bytes.remaining()));
  }

  @Override
  public void close() throws IOException {
    stream.close();
  }
}
