package org.winnow.models;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Writes safetensors files for tests: valid files of any size, whose data is a hole, and invalid
 * files with any header.
 */
final class SafetensorsFile {
  private final StringBuilder header = new StringBuilder("{");
  private long dataBytes;

  SafetensorsFile add(String name, String type, long... shape) {
    long sizeBytes = StoredType.valueOf(type).sizeBytes(shape);
    StringBuilder extents = new StringBuilder();
    for (long extent : shape) extents.append(extents.length() == 0 ? "" : ",").append(extent);
    header
        .append(header.length() == 1 ? "" : ",")
        .append('"')
        .append(name)
        .append("\":{\"dtype\":\"")
        .append(type)
        .append("\",\"shape\":[")
        .append(extents)
        .append("],\"data_offsets\":[")
        .append(dataBytes)
        .append(',')
        .append(dataBytes + sizeBytes)
        .append("]}");
    dataBytes += sizeBytes;
    return this;
  }

  long dataBytes() {
    return dataBytes;
  }

  String json() {
    return header + "}";
  }

  /** Writes a valid header. The data takes no disk space. */
  Path write(Path file) {
    return write(file, json(), dataBytes);
  }

  static Path write(Path file, String header, long dataBytes) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    return write(file, json.length, json, dataBytes);
  }

  static Path write(Path file, long headerBytes, byte[] header, long dataBytes) {
    ByteBuffer prefix =
        ByteBuffer.allocate(8 + header.length)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(headerBytes)
            .put(header)
            .flip();
    try (FileChannel channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            StandardOpenOption.TRUNCATE_EXISTING)) {
      channel.write(prefix);
      if (dataBytes > 0) channel.write(ByteBuffer.allocate(1), 8 + header.length + dataBytes - 1);
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
