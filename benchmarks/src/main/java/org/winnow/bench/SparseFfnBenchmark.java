package org.winnow.bench;

import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.op.Activation;
import org.winnow.op.ActiveColumns;
import org.winnow.op.NeuronMatrices;
import org.winnow.op.SparseFfn;

/**
 * One token through a ReLU feed-forward block of which a share of the columns is active, against
 * OpenBLAS computing all columns in f32. The columns are chosen already. Each run takes other
 * weights and other columns, so that both read from DRAM.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class SparseFfnBenchmark {
  private static final long BYTES_OF_WEIGHTS = 1L << 29; // beyond the caches
  private static final int NUM_LISTS = 16;

  /** Sizes of a block. */
  public enum Shape {
    /** The medium model of Scaling Transformer. */
    SCALING_MEDIUM(1024, 4096),
    OPT_6_7B(4096, 16384);

    final int hiddenSize;
    final int intermediateSize;

    Shape(int hiddenSize, int intermediateSize) {
      this.hiddenSize = hiddenSize;
      this.intermediateSize = intermediateSize;
    }
  }

  @Param Shape shape;

  @Param({"F32", "BF16"})
  DType dtype;

  /** Percent of the columns. */
  @Param({"2", "5", "10"})
  int active;

  @Param("1")
  int numThreads;

  private CpuBackend backend;
  private Tensor pool;
  private NeuronMatrices[] layers;
  private ActiveColumns[] lists;
  private Tensor input;
  private Tensor hidden;
  private Tensor output;
  private int run;

  @Setup
  public void setup() {
    backend = new CpuBackend(InstructionSet.best(), numThreads);
    long size = 2L * shape.intermediateSize * shape.hiddenSize;
    int numLayers = (int) Math.max(2, BYTES_OF_WEIGHTS / (size * dtype.sizeBytes()));
    pool = Tensor.allocate(dtype, numLayers * size);
    Random random = new Random(42);
    fill(pool, random);
    layers = new NeuronMatrices[numLayers];
    for (int l = 0; l < numLayers; l++)
      layers[l] =
          new NeuronMatrices(
              pool.slice(l * size, (l + 1) * size)
                  .reshape(shape.intermediateSize, 2, shape.hiddenSize));
    lists = new ActiveColumns[NUM_LISTS];
    int count = shape.intermediateSize * active / 100;
    for (int i = 0; i < NUM_LISTS; i++) {
      lists[i] = new ActiveColumns();
      lists[i].set(
          shape.intermediateSize,
          random.ints(0, shape.intermediateSize).distinct().limit(count).sorted().toArray());
    }
    input = Tensor.f32(1, shape.hiddenSize).fill(1);
    hidden = Tensor.f32(1, count);
    output = Tensor.f32(1, shape.hiddenSize);
    sparse();
    check(run % numLayers, lists[run % NUM_LISTS].columnsOf(0));
  }

  /** A million random values, again and again. */
  private static void fill(Tensor tensor, Random random) {
    long filled = Math.min(tensor.size(), 1 << 20);
    for (long i = 0; i < filled; i++) tensor.setFloat(i, (random.nextInt(9) - 4) / 64f);
    for (long next; filled < tensor.size(); filled = next) {
      next = Math.min(2 * filled, tensor.size());
      tensor.slice(filled, next).copyFrom(tensor.slice(0, next - filled));
    }
  }

  /** The first output, in double precision. */
  private void check(int layer, int[] columns) {
    long size = 2L * shape.intermediateSize * shape.hiddenSize;
    double exact = 0;
    for (int column : columns) {
      long begin = layer * size + 2L * column * shape.hiddenSize;
      float[] record = pool.slice(begin, begin + 2L * shape.hiddenSize).toFloatArray();
      double gate = 0;
      for (int k = 0; k < shape.hiddenSize; k++) gate += record[k];
      exact += Math.max(gate, 0) * record[shape.hiddenSize];
    }
    if (!(Math.abs(output.getFloat(0) - exact) <= 1e-4 * (1 + Math.abs(exact))))
      throw new AssertionError("found " + output.getFloat(0) + ", expected " + exact);
  }

  @TearDown
  public void tearDown() {
    for (NeuronMatrices layer : layers) layer.close();
    for (ActiveColumns list : lists) list.close();
    for (Tensor tensor : new Tensor[] {pool, input, hidden, output}) tensor.close();
    backend.close();
  }

  @Benchmark
  public Tensor sparse() {
    run++;
    SparseFfn.run(
        backend,
        input,
        layers[run % layers.length],
        Activation.RELU,
        lists[run % NUM_LISTS],
        hidden,
        output);
    return output;
  }

  /** What the baseline alone needs. */
  @State(Scope.Benchmark)
  public static class Dense {
    private Tensor weights;
    private Tensor input;
    private Tensor inner;
    private Tensor output;
    private int hiddenSize;
    private int intermediateSize;
    private long size;
    private int run;

    @Setup
    public void setup(SparseFfnBenchmark of) {
      openblas_nolapack.blas_set_num_threads(of.numThreads);
      hiddenSize = of.shape.hiddenSize;
      intermediateSize = of.shape.intermediateSize;
      size = 2L * hiddenSize * intermediateSize;
      weights = Tensor.f32(Math.max(2, BYTES_OF_WEIGHTS / (size * Float.BYTES)) * size).fill(0.5f);
      input = Tensor.f32(hiddenSize).fill(1);
      inner = Tensor.f32(intermediateSize).fill(0);
      output = Tensor.f32(hiddenSize).fill(0);
      run();
      double expected = 0.5 * hiddenSize * 0.5 * intermediateSize;
      if (!(Math.abs(output.getFloat(0) - expected) <= 1e-5 * expected))
        throw new AssertionError("found " + output.getFloat(0) + ", expected " + expected);
    }

    Tensor run() {
      long begin = run++ % (weights.size() / size) * size;
      long half = size / 2;
      multiply(weights.slice(begin, begin + half), intermediateSize, hiddenSize, input, inner);
      multiply(
          weights.slice(begin + half, begin + size), hiddenSize, intermediateSize, inner, output);
      return output;
    }

    private static void multiply(Tensor matrix, int rows, int columns, Tensor x, Tensor y) {
      openblas_nolapack.cblas_sgemv(
          101, 111, rows, columns, 1, pointer(matrix), columns, pointer(x), 1, 0, pointer(y), 1);
    }

    private static FloatPointer pointer(Tensor tensor) {
      return new FloatPointer(tensor.asByteBuffer().asFloatBuffer());
    }

    @TearDown
    public void tearDown() {
      for (Tensor tensor : new Tensor[] {weights, input, inner, output}) tensor.close();
    }
  }

  @Benchmark
  public Tensor baselineDense(Dense dense) {
    return dense.run();
  }
}
