package org.winnow.bench;

import java.util.Arrays;
import java.util.Random;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.GroupedGemm;

/**
 * The feed-forward block of one MoE layer, gate and up fused with SiLU, then down, for tokens that
 * are routed already: uniformly at random. Each run takes weights that lie elsewhere in a pool
 * larger than any cache, so that they come from DRAM as in a model with many layers.
 */
final class MoeFfn implements AutoCloseable {
  private static final long POOL_BYTES = 5L << 28; // 1.25 GiB
  private static final double U = 0x1p-24;

  private final MoeShape shape;
  private final DType dtype;
  private final Tensor pool; // [elements]
  private final Tensor input;
  private final Tensor inner;
  private final Tensor output;
  private final Tensor sourceRows;
  private final Tensor expertOffsets;
  private final Tensor activeExperts;
  private final ExpertMatrices gateUp;
  private final ExpertMatrices down;
  private final int[] offsets;
  private final int[] source;
  private final long[] firstElement; // of each active expert's gate in the pool
  private int numActive;
  private long cursor;

  /** Values for weights: 1 MiB of normal ones, repeated over huge pages. */
  static Tensor pool(TensorMemory memory, DType dtype) {
    Tensor pool = Tensor.allocate(memory, dtype, POOL_BYTES / dtype.sizeBytes());
    int pattern = (1 << 20) / dtype.sizeBytes();
    pool.slice(0, pattern).copyFrom(normal(new Random(42), pattern, 0.03));
    for (long at = pattern; at < pool.size(); at += pattern)
      pool.slice(at, at + pattern).copyFrom(pool.slice(0, pattern));
    return pool;
  }

  private static float[] normal(Random random, int size, double scale) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = (float) (random.nextGaussian() * scale);
    return values;
  }

  /**
   * @param pool {@link #pool}, in whose memory everything else lies too; not closed here
   */
  MoeFfn(MoeShape shape, DType dtype, int numTokens, Tensor pool, Random random) {
    TensorMemory memory = pool.memory();
    this.shape = shape;
    this.dtype = dtype;
    this.pool = pool;
    int numRows = numTokens * shape.topK;
    input =
        Tensor.allocate(memory, dtype, numTokens, shape.hiddenSize)
            .copyFrom(normal(random, numTokens * shape.hiddenSize, 1));
    inner = Tensor.allocate(memory, dtype, numRows, shape.intermediateSize);
    output = Tensor.allocate(memory, DType.F32, numRows, shape.hiddenSize);
    offsets = new int[shape.numExperts + 1];
    source = new int[numRows];
    firstElement = new long[shape.numExperts];
    route(numTokens, random);
    sourceRows = Tensor.allocate(memory, DType.I32, numRows).copyFrom(source);
    expertOffsets = Tensor.allocate(memory, DType.I32, offsets.length).copyFrom(offsets);
    int[] active = new int[shape.numExperts];
    for (int e = 0; e < shape.numExperts; e++) {
      if (offsets[e + 1] > offsets[e]) active[numActive++] = e;
    }
    activeExperts = Tensor.allocate(memory, DType.I32, active.length).copyFrom(active);
    gateUp =
        new ExpertMatrices(
            memory, dtype, shape.numExperts, shape.intermediateSize, shape.hiddenSize, true, false);
    down =
        new ExpertMatrices(
            memory,
            dtype,
            shape.numExperts,
            shape.hiddenSize,
            shape.intermediateSize,
            false,
            false);
    setAll();
  }

  /** All are resident, as in a model: a device need not be asked which have rows. */
  private void setAll() {
    long matrixBytes = (long) shape.hiddenSize * shape.intermediateSize * dtype.sizeBytes();
    for (int e = 0; e < shape.numExperts; e++) {
      gateUp.set(e, pool.address(), pool.address() + matrixBytes, 0, 0);
      down.set(e, pool.address() + 2 * matrixBytes, 0, 0, 0);
    }
  }

  private void route(int numTokens, Random random) {
    int[][] chosen = new int[shape.numExperts][0];
    for (int t = 0; t < numTokens; t++) {
      int[] of = random.ints(0, shape.numExperts).distinct().limit(shape.topK).toArray();
      for (int e : of) {
        chosen[e] = Arrays.copyOf(chosen[e], chosen[e].length + 1);
        chosen[e][chosen[e].length - 1] = t;
      }
    }
    for (int e = 0; e < shape.numExperts; e++) {
      offsets[e + 1] = offsets[e] + chosen[e].length;
      System.arraycopy(chosen[e], 0, source, offsets[e], chosen[e].length);
    }
  }

  /** Moves on to weights that were not read lately. */
  void rotate() {
    long matrix = (long) shape.hiddenSize * shape.intermediateSize;
    for (int e = 0; e < shape.numExperts; e++) {
      if (offsets[e + 1] == offsets[e]) continue;
      if (cursor + 3 * matrix > pool.size()) cursor = 0;
      firstElement[e] = cursor;
      long address = pool.address() + cursor * dtype.sizeBytes();
      gateUp.set(e, address, address + matrix * dtype.sizeBytes(), 0, 0);
      down.set(e, address + 2 * matrix * dtype.sizeBytes(), 0, 0, 0);
      cursor += 3 * matrix;
    }
  }

  Tensor run(Backend backend) {
    GroupedGemm.run(
        backend,
        input,
        sourceRows,
        expertOffsets,
        activeExperts,
        numActive,
        gateUp,
        Activation.SILU,
        inner);
    GroupedGemm.run(
        backend,
        inner,
        null,
        expertOffsets,
        activeExperts,
        numActive,
        down,
        Activation.NONE,
        output);
    return output;
  }

  /** Bytes of weights that a run must read: those of the distinct experts with tokens. */
  double weightBytes() {
    return 3.0 * numActive * shape.hiddenSize * shape.intermediateSize * dtype.sizeBytes();
  }

  /** Multiplications and additions of a run. */
  double operations() {
    return 6.0 * source.length * shape.hiddenSize * shape.intermediateSize;
  }

  /**
   * Random elements of both products against double precision, after {@link #rotate()} and {@link
   * #run}; a fast wrong answer is not a result.
   */
  void assertSpotChecks(Random random, int count) {
    long matrix = (long) shape.hiddenSize * shape.intermediateSize;
    for (int i = 0; i < count; i++) {
      int row = random.nextInt(source.length);
      int expert = 0;
      while (offsets[expert + 1] <= row) expert++;
      int column = random.nextInt(shape.intermediateSize);
      double[] gate = dot(input, source[row], firstElement[expert], column, shape.hiddenSize);
      double[] up =
          dot(input, source[row], firstElement[expert] + matrix, column, shape.hiddenSize);
      double silu = gate[0] / (1 + Math.exp(-gate[0]));
      double gateBound =
          1.13 * gate[1]
              + 10
                  * U
                  * Math.abs(
                      gate[
                          0]); // SiLU's largest slope is below 1.13, evaluating it costs at most 10
      // U |g|
      double bound =
          gateBound * (Math.abs(up[0]) + up[1])
              + Math.abs(silu) * up[1]
              + (dtype == DType.BF16 ? 0x1.01p-8 : 2 * U) * Math.abs(silu * up[0]);
      require(
          Math.abs(inner.getFloat((long) row * shape.intermediateSize + column) - silu * up[0])
              <= bound + 1e-30,
          "inner",
          row,
          column);
      column = random.nextInt(shape.hiddenSize);
      double[] sum =
          dot(inner, row, firstElement[expert] + 2 * matrix, column, shape.intermediateSize);
      require(
          Math.abs(output.getFloat((long) row * shape.hiddenSize + column) - sum[0]) <= sum[1],
          "output",
          row,
          column);
    }
  }

  /** Sum of products, and how far f32 arithmetic may be from it. */
  private double[] dot(Tensor rows, int row, long weight, int column, int size) {
    float[] left = rows.slice(row, row + 1L).toFloatArray();
    long first = weight + (long) column * size;
    float[] right = pool.slice(first, first + size).toFloatArray();
    double sum = 0;
    double magnitude = 0;
    for (int k = 0; k < size; k++) {
      double term = (double) left[k] * right[k];
      sum += term;
      magnitude += Math.abs(term);
    }
    return new double[] {sum, 1.001 * size * U * magnitude};
  }

  private static void require(boolean holds, String what, int row, int column) {
    if (!holds) throw new AssertionError("wrong " + what + " at row " + row + ", column " + column);
  }

  @Override
  public void close() {
    for (AutoCloseable part :
        new AutoCloseable[] {
          input, inner, output, sourceRows, expertOffsets, activeExperts, gateUp, down
        }) {
      try {
        part.close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
