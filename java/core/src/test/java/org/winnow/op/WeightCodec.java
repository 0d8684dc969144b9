package org.winnow.op;

import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightFormat;

/**
 * Converts f32 values to matrices of every format and back, one element at a time. This is the
 * reference for kernels.
 */
public final class WeightCodec {
  private WeightCodec() {}

  /**
   * Rounds to the nearest values of the format. Every format holds small integers exactly, because
   * row scales are powers of two.
   *
   * @return a matrix whose planes are new tensors in the backend's memory
   */
  public static Matrix encode(
      Backend backend, WeightFormat format, float[] values, int rows, int columns) {
    if (format.planes() == 1) {
      Tensor plain = backend.allocate(plainType(format), rows, columns).copyFrom(values);
      return Matrix.of(plain);
    }
    byte[] quantised = new byte[rows * columns];
    float[] scales = new float[rows];
    for (int row = 0; row < rows; row++) {
      float largest = 0;
      for (int column = 0; column < columns; column++)
        largest = Math.max(largest, Math.abs(values[row * columns + column]));
      int exponent = largest == 0 ? 0 : Math.getExponent(largest / 127) + 1;
      scales[row] = (float) Math.scalb(1.0, Math.min(exponent, 0));
      for (int column = 0; column < columns; column++) {
        float scaled = values[row * columns + column] / scales[row];
        quantised[row * columns + column] = (byte) Math.max(-127, Math.min(127, Math.rint(scaled)));
      }
    }
    Tensor blocks = backend.allocate(DType.I8, rows, columns);
    try (Tensor host = Tensor.allocate(DType.I8, rows, columns)) {
      host.asByteBuffer().put(quantised);
      blocks.copyFrom(host);
    }
    return new Matrix(format, rows, columns, blocks, backend.of(scales, rows));
  }

  /** The values that a matrix holds, as f32. */
  public static float[] decode(Matrix matrix) {
    if (matrix.format().planes() == 1) return matrix.plane(0).toFloatArray();
    int rows = Math.toIntExact(matrix.rows());
    int columns = Math.toIntExact(matrix.columns());
    byte[] quantised = new byte[rows * columns];
    try (Tensor host = Tensor.allocate(DType.I8, rows, columns)) {
      host.copyFrom(matrix.plane(0));
      host.asByteBuffer().get(quantised);
    }
    float[] scales = matrix.plane(1).toFloatArray();
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) values[i] = scales[i / columns] * quantised[i];
    return values;
  }

  /** Closes the planes. */
  public static void close(Matrix matrix) {
    if (matrix == null) return;
    for (int plane = 0; plane < matrix.format().planes(); plane++) matrix.plane(plane).close();
  }

  private static DType plainType(WeightFormat format) {
    for (DType type : new DType[] {DType.F32, DType.BF16, DType.F16})
      if (WeightFormat.of(type) == format) return type;
    throw new IllegalArgumentException("no encoding for " + format);
  }
}
