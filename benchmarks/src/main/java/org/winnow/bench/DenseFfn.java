package org.winnow.bench;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.workload.MoeShape;
import org.winnow.workload.WeightPool;
import org.winnow.workload.Work;

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
  private final WeightPool pool;
  private final Tensor input;
  private final Tensor inner;
  private final Tensor output;
  private int place;

  /**
   * @param pool of f32 in the host's memory, not closed here
   */
  DenseFfn(MoeShape shape, int numTokens, WeightPool pool, int numThreads) {
    if (pool.type() != DType.F32)
      throw new IllegalArgumentException("pool must be f32, found " + pool.type());
    openblas_nolapack.blas_set_num_threads(numThreads);
    this.shape = shape;
    this.numTokens = numTokens;
    this.pool = pool;
    input = Tensor.f32(numTokens, shape.hiddenSize()).fill(1);
    inner = Tensor.f32(numTokens, shape.intermediateSize()).fill(0);
    output = Tensor.f32(numTokens, shape.hiddenSize()).fill(0);
  }

  Tensor run() {
    for (int e = 0; e < shape.numExperts(); e++) {
      place = (place + 1) % pool.numPlaces(shape);
      WeightPool.Expert expert = pool.expert(shape, place);
      multiply(input, expert.gate(), inner);
      multiply(input, expert.up(), inner);
      multiply(inner, expert.down(), output);
    }
    return output;
  }

  Work work() {
    return shape.denseFeedForward(DType.F32, numTokens);
  }

  /** After {@link #run}: the input is ones, so the last expert's up holds the sums of its rows. */
  void assertSpotCheck() {
    double expected = 0;
    double magnitude = 0;
    for (float weight : pool.expert(shape, place).up().slice(0, 1).toFloatArray()) {
      expected += weight;
      magnitude += Math.abs(weight);
    }
    double found = inner.getFloat(0);
    if (!(Math.abs(found - expected) <= shape.hiddenSize() * 0x1p-24 * magnitude))
      throw new AssertionError("wrong dense product: found " + found + ", expected " + expected);
  }

  /** {@code to = rows * weight^T}. */
  private void multiply(Tensor rows, Tensor weight, Tensor to) {
    int outputSize = (int) weight.dim(0);
    int inputSize = (int) weight.dim(1);
    openblas_nolapack.cblas_sgemm(
        ROW_MAJOR,
        AS_STORED,
        TRANSPOSED,
        numTokens,
        outputSize,
        inputSize,
        1,
        pointer(rows),
        inputSize,
        pointer(weight),
        inputSize,
        0,
        pointer(to),
        outputSize);
  }

  private static FloatPointer pointer(Tensor tensor) {
    return new FloatPointer(tensor.asByteBuffer().asFloatBuffer());
  }

  @Override
  public void close() {
    input.close();
    inner.close();
    output.close();
  }
}
