package org.winnow.workload;

import java.util.Random;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.internal.NativeCodes;
import org.winnow.moe.ResidentExperts;

/**
 * Random weights of one type over more memory than caches hold, for layers of any shape: each
 * expert has a place of its own in it, so that runs on other places read from memory, as a model
 * with many layers does. Values are normal with a deviation of 0.03: sums over the width of a model
 * are then about one, where activations are not linear. The values are the same each time.
 */
public final class WeightPool implements AutoCloseable {
  /** 1.25 GiB, more than two of the largest last-level caches of today's processors. */
  public static final long BEYOND_CACHES = 5L << 28;

  private static final double DEVIATION = 0.03;

  private final Tensor elements;
  private final WeightLayout layout;

  /**
   * An expert's weights, views into the pool. Their elements lie in the pool's layout: {@link #row}
   * and {@link #rows} read them.
   */
  public record Expert(Tensor gate, Tensor up, Tensor down) {}

  /**
   * In the backend's memory, in the layout that it multiplies fastest.
   *
   * @param type f32, bf16 or f16
   */
  public WeightPool(Backend backend, DType type, long sizeBytes) {
    this(backend.memory(), layout(backend, type), type, sizeBytes);
  }

  /**
   * In rows.
   *
   * @param memory where it lies: the backend's
   * @param type f32, bf16 or f16
   */
  public WeightPool(TensorMemory memory, DType type, long sizeBytes) {
    this(memory, WeightLayout.ROWS, type, sizeBytes);
  }

  private static WeightLayout layout(Backend backend, DType type) {
    return type.isFloating() ? backend.weightLayout(WeightFormat.of(type)) : WeightLayout.ROWS;
  }

  private WeightPool(TensorMemory memory, WeightLayout layout, DType type, long sizeBytes) {
    this.layout = layout;
    if (!type.isFloating())
      throw new IllegalArgumentException("type must be f32, bf16 or f16, found " + type);
    elements = Tensor.allocate(memory, type, sizeBytes / type.sizeBytes());
    long written = Math.min(NormalValues.PERIOD, elements.size());
    NormalValues.fill(elements.slice(0, written), new Random(42), DEVIATION);
    while (written < elements.size()) {
      long length = Math.min(written, elements.size() - written);
      elements.slice(written, written + length).copyFrom(elements.slice(0, length));
      written += length;
    }
  }

  /** Of the weights. */
  public DType type() {
    return elements.dtype();
  }

  /** Of the hidden states that go with these weights: bf16 with bf16, f32 otherwise. */
  public DType hiddenType() {
    return type() == DType.BF16 ? DType.BF16 : DType.F32;
  }

  public TensorMemory memory() {
    return elements.memory();
  }

  /** All weights, in one row. */
  Tensor elements() {
    return elements;
  }

  /**
   * How many experts of this shape have places of their own.
   *
   * @throws IllegalArgumentException if there is no room for one
   */
  public int numPlaces(MoeShape shape) {
    long places = elements.size() / shape.expertElements();
    if (places == 0)
      throw new IllegalArgumentException(
          "the pool must hold an expert of "
              + shape.model()
              + ", "
              + shape.expertElements()
              + " elements, found "
              + elements);
    return Math.toIntExact(places);
  }

  /**
   * The expert at a place.
   *
   * @param place in [0, {@link #numPlaces})
   */
  public Expert expert(MoeShape shape, int place) {
    long begin = place * shape.expertElements();
    int d = shape.hiddenSize();
    int f = shape.intermediateSize();
    return new Expert(
        matrix(begin, f, d),
        matrix(begin + shape.matrixElements(), f, d),
        matrix(begin + 2 * shape.matrixElements(), d, f));
  }

  private Tensor matrix(long begin, int rows, int columns) {
    return elements.slice(begin, begin + (long) rows * columns).reshape(rows, columns);
  }

  /**
   * The experts of a layer. The caller closes them.
   *
   * @param places of each expert; several may share one
   */
  public ResidentExperts experts(MoeShape shape, int[] places) {
    Matrix[] gate = new Matrix[places.length];
    Matrix[] up = new Matrix[places.length];
    Matrix[] down = new Matrix[places.length];
    for (int e = 0; e < places.length; e++) {
      Expert expert = expert(shape, places[e]);
      gate[e] = Matrix.of(layout, expert.gate);
      up[e] = Matrix.of(layout, expert.up);
      down[e] = Matrix.of(layout, expert.down);
    }
    return new ResidentExperts(gate, up, down, null, null, null);
  }

  /** A row of one of an expert's matrices. */
  float[] row(Tensor matrix, int row) {
    if (layout == WeightLayout.ROWS) return NormalValues.read(matrix.slice(row, row + 1L));
    int first = row / NativeCodes.PANEL_ROWS * NativeCodes.PANEL_ROWS;
    int width = (int) Math.min(NativeCodes.PANEL_ROWS, matrix.dim(0) - first);
    float[] panel = NormalValues.read(matrix.slice(first, first + width));
    float[] values = new float[Math.toIntExact(matrix.dim(1))];
    int groupSize = WeightFormat.of(type()).panelElements();
    for (int k = 0; k < values.length; k++) {
      int inGroup = k % groupSize;
      int group = Math.min(groupSize, values.length - (k - inGroup));
      values[k] = panel[(k - inGroup) * width + (row - first) * group + inGroup];
    }
    return values;
  }

  /** All rows of one of an expert's matrices, one after the other. */
  float[] rows(Tensor matrix) {
    int numRows = Math.toIntExact(matrix.dim(0));
    float[] values = new float[Math.toIntExact(matrix.size())];
    for (int row = 0; row < numRows; row++) {
      float[] one = row(matrix, row);
      System.arraycopy(one, 0, values, row * one.length, one.length);
    }
    return values;
  }

  /** A router's matrix [numExperts, hiddenSize] of the same type, outside the pool. */
  Tensor router(MoeShape shape) {
    Tensor weight = Tensor.allocate(memory(), type(), shape.numExperts(), shape.hiddenSize());
    return NormalValues.fill(weight, new Random(43), DEVIATION);
  }

  @Override
  public void close() {
    elements.close();
  }
}
