package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Random;
import org.winnow.Float16;

/**
 * A checkpoint of random bf16 weights, without a tokenizer. The same shape gives the same bytes.
 * Values are normal with a deviation of 0.03, so that sums over the width of a model are about one;
 * weights of norms are one.
 */
final class RandomCheckpoint {
  private static final String WEIGHTS = "model.safetensors";
  private static final double DEVIATION = 0.03;
  private static final int PERIOD = 1_048_583; // a prime: no two rows of a matrix are equal
  private static final short ONE = Float16.toBf16(1);

  private final CheckpointShape shape;
  private final ByteBuffer header;
  private final long dataBytes;

  private RandomCheckpoint(CheckpointShape shape) {
    this.shape = shape;
    dataBytes = shape.tensors().values().stream().mapToLong(RandomCheckpoint::sizeBytes).sum();
    byte[] json = JsonDocument.line(this::writeHeader).getBytes(StandardCharsets.UTF_8);
    header = ByteBuffer.allocate(Long.BYTES + json.length).order(ByteOrder.LITTLE_ENDIAN);
    header.putLong(json.length).put(json);
  }

  /**
   * The folder of the checkpoint of a shape in another folder. It is written unless it is there
   * already.
   */
  static Path in(Path folder, CheckpointShape shape) throws IOException {
    Path checkpoint = folder.resolve(shape.folderName());
    RandomCheckpoint wanted = new RandomCheckpoint(shape);
    if (!wanted.isIn(checkpoint)) wanted.write(checkpoint);
    return checkpoint;
  }

  /** Whether all files are there. The configuration is written last. */
  private boolean isIn(Path folder) throws IOException {
    Path config = folder.resolve("config.json");
    Path weights = folder.resolve(WEIGHTS);
    return Files.isRegularFile(config)
        && Files.isRegularFile(weights)
        && Files.size(weights) == header.capacity() + dataBytes
        && Files.readString(config).equals(shape.config());
  }

  private void write(Path folder) throws IOException {
    Files.createDirectories(folder);
    Path config = folder.resolve("config.json");
    Files.deleteIfExists(config);
    Path part = folder.resolve(WEIGHTS + ".part");
    try (FileChannel channel =
        FileChannel.open(
            part,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      writeAll(channel, header.flip());
      writeValues(channel);
    } catch (IOException e) {
      Files.deleteIfExists(part); // the disk may be full
      throw e;
    }
    Files.move(part, folder.resolve(WEIGHTS), StandardCopyOption.ATOMIC_MOVE);
    Files.writeString(config, shape.config());
  }

  private static long sizeBytes(long[] extents) {
    long elements = 1;
    for (long extent : extents) elements *= extent;
    return Short.BYTES * elements;
  }

  private void writeHeader(JsonGenerator json) throws IOException {
    json.writeStartObject();
    long offset = 0;
    for (Map.Entry<String, long[]> tensor : shape.tensors().entrySet()) {
      json.writeObjectFieldStart(tensor.getKey());
      json.writeStringField("dtype", "BF16");
      json.writeFieldName("shape");
      json.writeArray(tensor.getValue(), 0, tensor.getValue().length);
      json.writeFieldName("data_offsets");
      long end = offset + sizeBytes(tensor.getValue());
      json.writeArray(new long[] {offset, end}, 0, 2);
      json.writeEndObject();
      offset = end;
    }
    json.writeEndObject();
  }

  private void writeValues(FileChannel channel) throws IOException {
    ByteBuffer normal = normalValues();
    ByteBuffer ones = ByteBuffer.allocateDirect(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
    while (ones.hasRemaining()) ones.putShort(ONE);
    normal.position(0);
    for (Map.Entry<String, long[]> tensor : shape.tensors().entrySet()) {
      ByteBuffer values = tensor.getKey().contains("norm") ? ones : normal;
      for (long left = sizeBytes(tensor.getValue()); left > 0; ) {
        if (!values.hasRemaining()) values.rewind();
        ByteBuffer part = values.slice();
        part.limit((int) Math.min(left, part.limit()));
        values.position(values.position() + part.limit());
        left -= part.limit();
        writeAll(channel, part);
      }
      ones.rewind();
    }
  }

  private static ByteBuffer normalValues() {
    ByteBuffer values =
        ByteBuffer.allocateDirect(Short.BYTES * PERIOD).order(ByteOrder.LITTLE_ENDIAN);
    Random random = new Random(42);
    while (values.hasRemaining())
      values.putShort(Float16.toBf16((float) (DEVIATION * random.nextGaussian())));
    return values;
  }

  private static void writeAll(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) channel.write(bytes);
  }
}
