package org.winnow.cli;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/** Reads the lines of a stream as bytes, in bounded memory. */
final class LineReader {
  private final BufferedInputStream in;
  private final int maxBytes;
  private int line;
  private boolean tooLong;

  LineReader(InputStream in, int maxBytes) {
    this.in = new BufferedInputStream(in, 1 << 16);
    this.maxBytes = maxBytes;
  }

  /**
   * The bytes of the next line without its newline, or null at the end of the stream. Of a line
   * that is too long, only the first bytes are returned; the rest is read past.
   */
  byte @Nullable [] next() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    tooLong = false;
    int next = in.read();
    if (next < 0) return null;
    line++;
    for (; next >= 0 && next != '\n'; next = in.read()) {
      if (bytes.size() < maxBytes) bytes.write(next);
      else tooLong = true;
    }
    return bytes.toByteArray();
  }

  /** The number of the line that was returned last; the first is 1. */
  int line() {
    return line;
  }

  /** Whether the line that was returned last is cut. */
  boolean isTooLong() {
    return tooLong;
  }
}
