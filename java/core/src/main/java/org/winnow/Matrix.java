package org.winnow;

import static org.winnow.Tensor.ANY;

import java.util.Arrays;

/**
 * A weight matrix [rows, columns] in a storage format: its planes are the caller's tensors, open for
 * as long as the matrix is used. Immutable.
 *
 * <pre>{@code
 * Matrix plain = Matrix.of(weight);                                  // [rows, columns] f32, bf16 or f16
 * Matrix other = new Matrix(format, rows, columns, blocks, scales);  // as many planes as the format has
 * }</pre>
 */
public final class Matrix {
  private final WeightFormat format;
  private final long rows;
  private final long columns;
  private final Tensor[] planes;

  /**
   * @param planes the arrays that the format consists of, {@link WeightFormat#planes()} of them:
   *     blocks row by row, then the row scales [rows] f32 where the format has them. A plane of
   *     blocks may have any shape and type of the right number of bytes
   * @throws IllegalArgumentException naming the plane that has another size, lies in another memory
   *     than the first or is not aligned to {@link WeightFormat#alignmentBytes()}; or if rows or
   *     columns is below 1 or the columns are no whole number of blocks
   * @throws IllegalStateException if a plane is closed
   */
  public Matrix(WeightFormat format, long rows, long columns, Tensor... planes) {
    if (rows < 1 || columns < 1)
      throw new IllegalArgumentException(
          "matrix must have at least 1 row and 1 column, found [" + rows + ", " + columns + "]");
    if (planes.length != format.planes())
      throw new IllegalArgumentException(
          "planes must be " + format.planes() + " for " + format + ", found " + planes.length);
    this.format = format;
    this.rows = rows;
    this.columns = columns;
    this.planes = planes.clone();
    for (int p = 0; p < planes.length; p++) requirePlane(p, this.planes[p]);
  }

  /**
   * A plain matrix.
   *
   * @param weight [rows, columns], f32, bf16 or f16
   * @throws IllegalArgumentException naming the shape or type that is wrong
   * @throws IllegalStateException if it is closed
   */
  public static Matrix of(Tensor weight) {
    return of("weight", weight);
  }

  /** The same for an argument of that name. */
  public static Matrix of(String name, Tensor weight) {
    weight.requireFloating(name, ANY, ANY);
    return new Matrix(WeightFormat.of(weight.dtype()), weight.dim(0), weight.dim(1), weight);
  }

  private void requirePlane(int index, Tensor plane) {
    String name = "plane " + index;
    long expected = format.planeBytes(index, rows, columns);
    if (index > 0) plane.require(name, DType.F32, rows);
    else if (plane.sizeBytes() != expected)
      throw new IllegalArgumentException(
          name + " must have " + expected + " bytes, found " + plane);
    plane.requireIn(name, planes[0].memory());
    int alignment = index > 0 ? Float.BYTES : format.alignmentBytes();
    if (plane.openAddress(name) % alignment != 0)
      throw new IllegalArgumentException(name + " must be aligned to " + alignment + " bytes");
  }

  public WeightFormat format() {
    return format;
  }

  public long rows() {
    return rows;
  }

  public long columns() {
    return columns;
  }

  /** One of the {@link WeightFormat#planes()} arrays that it consists of. */
  public Tensor plane(int index) {
    return planes[index];
  }

  /** Where it lies. */
  public TensorMemory memory() {
    return planes[0].memory();
  }

  /** Bytes of all planes. */
  public long sizeBytes() {
    return format.sizeBytes(rows, columns);
  }

  /**
   * Checks this argument of an operation.
   *
   * @throws IllegalArgumentException naming the argument, what was expected and what was found
   * @throws IllegalStateException if a plane is closed
   */
  public void require(
      String name, WeightFormat expectedFormat, long expectedRows, long expectedColumns) {
    requireOpen(name);
    if (format != expectedFormat || rows != expectedRows || columns != expectedColumns)
      throw new IllegalArgumentException(
          name
              + " must be "
              + expectedFormat
              + "["
              + expectedRows
              + ", "
              + expectedColumns
              + "], found "
              + this);
  }

  /** Whether a plane is closed. */
  public boolean isClosed() {
    for (Tensor plane : planes) if (plane.isClosed()) return true;
    return false;
  }

  /**
   * Checks that it can be read.
   *
   * @throws IllegalStateException naming the argument, if a plane is closed
   */
  public void requireOpen(String name) {
    for (Tensor plane : planes) plane.openAddress(name);
  }

  /**
   * Checks that this argument lies where an operation computes.
   *
   * @throws IllegalArgumentException naming the argument, what was expected and what was found
   */
  public void requireIn(String name, TensorMemory expected) {
    planes[0].requireIn(name, expected);
  }

  /** Matrices that are stacked in one tensor [number of matrices, rows, columns]. */
  public static Matrix[] unstack(Tensor stacked) {
    stacked.requireFloating("stacked", new long[] {ANY, ANY, ANY});
    Matrix[] matrices = new Matrix[Math.toIntExact(stacked.dim(0))];
    Arrays.setAll(
        matrices, i -> of(stacked.slice(i, i + 1L).reshape(stacked.dim(1), stacked.dim(2))));
    return matrices;
  }

  @Override
  public String toString() {
    return format + "[" + rows + ", " + columns + "]";
  }
}
