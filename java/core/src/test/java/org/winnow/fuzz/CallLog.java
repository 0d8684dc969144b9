package org.winnow.fuzz;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The last calls of a lane, in a mapped file: what is written here outlives the process that
 * crashes a moment later. The file's date is no heartbeat, its first number is.
 */
final class CallLog {
  private static final int NUM_LINES = 64;
  private static final int LINE_BYTES = 2048;
  private static final int HEADER_BYTES = 8;

  private final MappedByteBuffer lines;
  private long count;

  CallLog(Path file) throws IOException {
    try (RandomAccessFile access = new RandomAccessFile(file.toFile(), "rw")) {
      lines =
          access
              .getChannel()
              .map(FileChannel.MapMode.READ_WRITE, 0, HEADER_BYTES + (long) NUM_LINES * LINE_BYTES);
    }
  }

  void write(String line) {
    byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
    int length = Math.min(bytes.length, LINE_BYTES - Integer.BYTES);
    int at = HEADER_BYTES + (int) (count % NUM_LINES) * LINE_BYTES;
    lines.putInt(at, length);
    lines.put(at + Integer.BYTES, bytes, 0, length);
    lines.putLong(0, ++count);
  }

  /** The last lines of a log, the oldest first. */
  static List<String> last(Path file, int most) {
    List<String> found = new ArrayList<>();
    try {
      if (!Files.exists(file)) return found;
      java.nio.ByteBuffer bytes = java.nio.ByteBuffer.wrap(Files.readAllBytes(file));
      long count = bytes.getLong(0);
      for (long i = Math.max(0, count - Math.min(most, NUM_LINES)); i < count; i++) {
        int at = HEADER_BYTES + (int) (i % NUM_LINES) * LINE_BYTES;
        byte[] line = new byte[bytes.getInt(at)];
        bytes.get(at + Integer.BYTES, line);
        found.add("call " + i + ": " + new String(line, StandardCharsets.UTF_8));
      }
    } catch (IOException e) {
      found.add("log cannot be read: " + e);
    }
    return found;
  }
}
