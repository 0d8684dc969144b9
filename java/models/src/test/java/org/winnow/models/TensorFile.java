package org.winnow.models;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.winnow.Float16;
import org.winnow.memory.TensorInfo;

/** A small checkpoint in memory that can be changed and written as one file or in shards. */
final class TensorFile {
  /** One tensor as a file stores it. */
  record Stored(String type, long[] shape, byte[] bytes) {
    float[] toFloats() {
      ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
      float[] values = new float[type.equals("F32") ? bytes.length / 4 : bytes.length / 2];
      for (int i = 0; i < values.length; i++) {
        values[i] =
            switch (type) {
              case "F32" -> buffer.getFloat(4 * i);
              case "BF16" -> Float16.fromBf16(buffer.getShort(2 * i));
              case "F16" -> Float16.fromF16(buffer.getShort(2 * i));
              default -> throw new IllegalArgumentException(type);
            };
      }
      return values;
    }

    /** The same values, rounded to another type. */
    Stored to(String newType) {
      float[] values = toFloats();
      ByteBuffer buffer =
          ByteBuffer.allocate(values.length * (newType.equals("F32") ? 4 : 2))
              .order(ByteOrder.LITTLE_ENDIAN);
      for (float value : values) {
        switch (newType) {
          case "F32" -> buffer.putFloat(value);
          case "BF16" -> buffer.putShort(Float16.toBf16(value));
          case "F16" -> buffer.putShort(Float16.toF16(value));
          default -> throw new IllegalArgumentException(newType);
        }
      }
      return new Stored(newType, shape, buffer.array());
    }
  }

  final Map<String, Stored> tensors = new LinkedHashMap<>();

  static TensorFile read(Path file) {
    TensorFile result = new TensorFile();
    try (RandomAccessFile input = new RandomAccessFile(file.toFile(), "r")) {
      for (TensorInfo info : Safetensors.tensors(file)) {
        byte[] bytes = new byte[Math.toIntExact(info.sizeBytes())];
        input.seek(info.offset());
        input.readFully(bytes);
        result.tensors.put(info.name(), new Stored(info.storedType(), info.shape(), bytes));
      }
      return result;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Replaces the tensors of these names. */
  TensorFile map(Predicate<String> names, UnaryOperator<Stored> change) {
    tensors.replaceAll((name, tensor) -> names.test(name) ? change.apply(tensor) : tensor);
    return this;
  }

  Path write(Path file) {
    return write(file, List.copyOf(tensors.keySet()));
  }

  /**
   * Writes {@code model-0000i-of-0000n.safetensors} and an index. Consecutive tensors go to
   * different shards.
   */
  void writeShards(Path folder, int numShards) {
    List<List<String>> shards = new ArrayList<>();
    for (int i = 0; i < numShards; i++) shards.add(new ArrayList<>());
    int next = 0;
    for (String name : tensors.keySet()) shards.get(next++ % numShards).add(name);
    StringBuilder index = new StringBuilder("{\"metadata\":{\"total_size\":0},\"weight_map\":{");
    for (int i = 0; i < numShards; i++) {
      String shard = String.format("model-%05d-of-%05d.safetensors", i + 1, numShards);
      write(folder.resolve(shard), shards.get(i));
      for (String name : shards.get(i))
        index
            .append(index.charAt(index.length() - 1) == '{' ? "" : ",")
            .append('"')
            .append(name)
            .append("\":\"")
            .append(shard)
            .append('"');
    }
    write(
        folder.resolve(Safetensors.INDEX_FILE),
        index.append("}}").toString().getBytes(StandardCharsets.UTF_8));
  }

  private Path write(Path file, List<String> names) {
    StringBuilder header = new StringBuilder("{");
    long offset = 0;
    for (String name : names) {
      Stored tensor = tensors.get(name);
      header
          .append(offset == 0 ? "" : ",")
          .append('"')
          .append(name)
          .append("\":{\"dtype\":\"")
          .append(tensor.type)
          .append("\",\"shape\":")
          .append(Arrays.toString(tensor.shape))
          .append(",\"data_offsets\":[")
          .append(offset)
          .append(',')
          .append(offset += tensor.bytes.length)
          .append("]}");
    }
    byte[] json = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer content =
        ByteBuffer.allocate(Math.toIntExact(8 + json.length + offset))
            .order(ByteOrder.LITTLE_ENDIAN);
    content.putLong(json.length).put(json);
    for (String name : names) content.put(tensors.get(name).bytes);
    return write(file, content.array());
  }

  private static Path write(Path file, byte[] content) {
    try {
      return Files.write(file, content);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
