package org.winnow.memory;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.winnow.DType;
import org.winnow.Float16;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightFormat;

/**
 * A file of tensors whose bytes the test gives, each right behind the last one or where it says.
 */
public final class TensorFile implements AutoCloseable {
  public final Path path;
  private final RandomAccessFile file;
  private final List<TensorInfo> tensors = new ArrayList<>();
  private long end;

  /**
   * @param firstOffset where the first tensor begins
   */
  public TensorFile(Path path, long firstOffset) throws IOException {
    this.path = path;
    this.file = new RandomAccessFile(path.toFile(), "rw");
    this.end = firstOffset;
  }

  public List<TensorInfo> tensors() {
    return tensors;
  }

  /** Leaves bytes out before the next tensor. */
  public void skip(long sizeBytes) {
    end += sizeBytes;
  }

  public void add(String name, DType dtype, byte[] bytes, long... shape) {
    add(name, dtype.name(), dtype, bytes, shape);
  }

  /** A tensor of any type, also of one that is not computed with. */
  public void add(String name, String storedType, DType dtype, byte[] bytes, long... shape) {
    try {
      file.seek(end);
      file.write(bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    tensors.add(new TensorInfo(name, storedType, dtype, shape, path, end, bytes.length));
    end += bytes.length;
  }

  /** A matrix: {@code name}, and {@code name.scale} for its row scales where it has them. */
  public void add(String name, Matrix matrix) {
    Tensor blocks = matrix.plane(0);
    add(name, blocks.dtype(), bytes(blocks), matrix.rows(), matrix.columns());
    if (matrix.format().planes() > 1)
      add(name + ".scale", DType.F32, bytes(matrix.plane(1)), matrix.rows());
  }

  /** Where the planes of such a matrix lie. */
  public static List<ExpertSource> sources(ExpertRole role, String name, WeightFormat format) {
    ExpertSource blocks = ExpertSource.of(role, name);
    if (format.planes() == 1) return List.of(blocks);
    return List.of(blocks.format(format), ExpertSource.of(role, name + ".scale").plane(1));
  }

  /** The bytes of a tensor, wherever it lies. */
  public static byte[] bytes(Tensor tensor) {
    byte[] bytes = new byte[Math.toIntExact(tensor.sizeBytes())];
    try (Tensor host = Tensor.allocate(tensor.dtype(), tensor.shape())) {
      host.copyFrom(tensor);
      host.asByteBuffer().get(bytes);
    }
    return bytes;
  }

  /** Values as elements of f32, bf16 or f16. */
  static byte[] bytes(DType dtype, float... values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * dtype.sizeBytes()).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      switch (dtype) {
        case F32 -> bytes.putFloat(value);
        case BF16 -> bytes.putShort(Float16.toBf16(value));
        default -> bytes.putShort(Float16.toF16(value));
      }
    }
    return bytes.array();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
