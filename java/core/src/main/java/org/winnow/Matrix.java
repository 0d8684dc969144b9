package org.winnow;

import static org.winnow.Tensor.ANY;

import java.util.Arrays;
import java.util.Objects;

/**
 * A weight matrix [rows, columns] in a storage format. The format defines one or more planes, which
 * are arrays such as packed blocks and scales. The planes are the caller's tensors and must stay
 * open while the matrix is used. Immutable.
 *
 * <pre>{@code
 * Matrix plain = Matrix.of(weight); // [rows, columns] f32, bf16 or f16
 * Matrix other = new Matrix(format, rows, columns, blocks, scales); // one tensor per plane
 * }</pre>
 */
public final class Matrix {
  private final WeightFormat format;
  private final WeightLayout layout;
  private final long rows;
  private final long columns;
  private final Tensor[] planes;

  /**
   * @param planes the {@link WeightFormat#planes()} arrays of the format: blocks row by row, then
   *     row scales [rows] f32 if the format has them. A plane of blocks may have any shape and type
   *     with the right number of bytes
   * @throws IllegalArgumentException naming the plane that has the wrong size, lies in another
   *     memory than the first, or is not aligned to {@link WeightFormat#alignmentBytes()}; or if
   *     rows or columns is below 1; or if a row is not a whole number of blocks
   * @throws IllegalStateException if a plane is closed
   */
  public Matrix(WeightFormat format, long rows, long columns, Tensor... planes) {
    this(format, WeightLayout.ROWS, rows, columns, planes);
  }

  /**
   * As the other constructor, for elements that lie in that layout: {@link WeightLayout#arrange}
   * makes them.
   *
   * @throws IllegalArgumentException also if the format does not have the layout, or panels do not
   *     lie in host memory
   */
  public Matrix(
      WeightFormat format, WeightLayout layout, long rows, long columns, Tensor... planes) {
    if (rows < 1 || columns < 1)
      throw new IllegalArgumentException(
          "matrix must have at least 1 row and 1 column, found [" + rows + ", " + columns + "]");
    if (planes.length != format.planes())
      throw new IllegalArgumentException(
          "planes must be " + format.planes() + " for " + format + ", found " + planes.length);
    if (!format.has(layout))
      throw new IllegalArgumentException("layout must be rows for " + format + ", found " + layout);
    this.format = format;
    this.layout = layout;
    this.rows = rows;
    this.columns = columns;
    this.planes = planes.clone();
    for (int p = 0; p < planes.length; p++) requirePlane(p, this.planes[p]);
    if (layout == WeightLayout.PANELS) this.planes[0].requireIn("plane 0", TensorMemory.host());
  }

  /**
   * A matrix in the plain format of the tensor's type.
   *
   * @param weight [rows, columns], f32, bf16 or f16
   * @throws IllegalArgumentException naming the shape or type that is wrong
   * @throws IllegalStateException if it is closed
   */
  public static Matrix of(Tensor weight) {
    return of("weight", weight);
  }

  /**
   * A matrix in the plain format of the tensor's type, whose elements lie in that layout.
   *
   * @param weight [rows, columns], f32, bf16 or f16
   * @throws IllegalArgumentException naming the shape, type or memory that is wrong
   * @throws IllegalStateException if it is closed
   */
  public static Matrix of(WeightLayout layout, Tensor weight) {
    weight.requireFloating("weight", ANY, ANY);
    WeightFormat format = WeightFormat.of(weight.dtype());
    return new Matrix(format, layout, weight.dim(0), weight.dim(1), weight);
  }

  /** As {@link #of(Tensor)}; messages use this argument name. */
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

  public WeightLayout layout() {
    return layout;
  }

  public long rows() {
    return rows;
  }

  public long columns() {
    return columns;
  }

  /**
   * One of the {@link WeightFormat#planes()} arrays.
   *
   * @throws IndexOutOfBoundsException if there is no such plane
   */
  public Tensor plane(int index) {
    return planes[Objects.checkIndex(index, planes.length)];
  }

  /** The memory that holds the planes. */
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
    require(name, expectedFormat, WeightLayout.ROWS, expectedRows, expectedColumns);
  }

  /** As the other method, for a matrix in that layout. */
  public void require(
      String name,
      WeightFormat expectedFormat,
      WeightLayout expectedLayout,
      long expectedRows,
      long expectedColumns) {
    requireOpen(name);
    if (layout != expectedLayout)
      throw new IllegalArgumentException(
          name + " must lie in " + expectedLayout + ", found " + layout);
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
   * Checks that all planes are open.
   *
   * @throws IllegalStateException naming the argument, if a plane is closed
   */
  public void requireOpen(String name) {
    for (Tensor plane : planes) plane.openAddress(name);
  }

  /**
   * Checks that this argument lies in the memory that the operation uses.
   *
   * @throws IllegalArgumentException naming the argument, what was expected and what was found
   */
  public void requireIn(String name, TensorMemory expected) {
    planes[0].requireIn(name, expected);
  }

  /** Splits one tensor [number of matrices, rows, columns] into its matrices. */
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
