package org.winnow.bench;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.winnow.DType;
import org.winnow.Tensor;

/**
 * The same block computed densely: OpenBLAS multiplies every token by every expert's gate, up and
 * down in f32, without the activation. Each run takes weights that lie elsewhere in the pool.
 */
final class DenseFfn implements AutoCloseable {
  private static final int ROW_MAJOR = 101; // CBLAS_ORDER, then CBLAS_TRANSPOSE
  private static final int AS_STORED = 111;
  private static final int TRANSPOSED = 112;

  private final MoeShape shape;
  private final int numTokens;
  private final Tensor pool;
  private final Tensor input;
  private final Tensor inner;
  private final Tensor output;
  private long cursor;

  /**
   * @param pool {@link MoeFfn#pool} of f32, not closed here
   */
  DenseFfn(MoeShape shape, int numTokens, Tensor pool, int numThreads) {
    if (pool.dtype() != DType.F32)
      throw new IllegalArgumentException("pool must be f32, found " + pool.dtype());
    openblas_nolapack.blas_set_num_threads(numThreads);
    this.shape = shape;
    this.numTokens = numTokens;
    this.pool = pool;
    input = Tensor.f32(numTokens, shape.hiddenSize).fill(1);
    inner = Tensor.f32(numTokens, shape.intermediateSize).fill(0);
    output = Tensor.f32(numTokens, shape.hiddenSize).fill(0);
  }

  Tensor run() {
    long matrix = matrixElements();
    for (int e = 0; e < shape.numExperts; e++) {
      if (cursor + 3 * matrix > pool.size()) cursor = 0;
      multiply(input, cursor, inner, shape.hiddenSize, shape.intermediateSize);
      multiply(input, cursor + matrix, inner, shape.hiddenSize, shape.intermediateSize);
      multiply(inner, cursor + 2 * matrix, output, shape.intermediateSize, shape.hiddenSize);
      cursor += 3 * matrix;
    }
    return output;
  }

  /** Bytes of the weights of all experts. */
  double weightBytes() {
    return 3.0 * shape.numExperts * matrixElements() * DType.F32.sizeBytes();
  }

  /** Multiplications and additions of a run. */
  double operations() {
    return 6.0 * numTokens * shape.numExperts * matrixElements();
  }

  /** After {@link #run}: the input is ones, so the last expert's up holds the sums of its rows. */
  void assertSpotCheck() {
    double expected = 0;
    double magnitude = 0;
    for (int k = 0; k < shape.hiddenSize; k++) {
      float weight = pool.getFloat(cursor - 2 * matrixElements() + k);
      expected += weight;
      magnitude += Math.abs(weight);
    }
    double found = inner.getFloat(0);
    if (!(Math.abs(found - expected) <= shape.hiddenSize * 0x1p-24 * magnitude))
      throw new AssertionError("wrong dense product: found " + found + ", expected " + expected);
  }

  private long matrixElements() {
    return (long) shape.hiddenSize * shape.intermediateSize;
  }

  private void multiply(Tensor rows, long weight, Tensor to, int inputSize, int outputSize) {
    openblas_nolapack.cblas_sgemm(
        ROW_MAJOR,
        AS_STORED,
        TRANSPOSED,
        numTokens,
        outputSize,
        inputSize,
        1,
        new At(rows.address()),
        inputSize,
        new At(pool.address() + weight * DType.F32.sizeBytes()),
        inputSize,
        0,
        new At(to.address()),
        outputSize);
  }

  @Override
  public void close() {
    input.close();
    inner.close();
    output.close();
  }

  /** Memory of a tensor's. */
  private static final class At extends FloatPointer {
    private static final long serialVersionUID = 1L;

    At(long address) {
      super((Pointer) null);
      this.address = address;
    }
  }
}
