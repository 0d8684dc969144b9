package org.winnow.bench;

import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas;
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
import org.winnow.op.MultiplicativeLayer;
import org.winnow.op.MultiplicativeLayerProblem;

/**
 * The multiplicative layer of Scaling Transformers against OpenBLAS with the dense matrix of the
 * same size, in f32. Both work on the same weights again and again: what fits into the caches of
 * the machine stays there. The dense matrix of LARGE has 340 MB, so it is read from memory.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class MultiplicativeLayerBenchmark extends BackendBenchmark {
  /** The configurations that were published. */
  public enum Size {
    MEDIUM(1024, 16),
    LARGE(9216, 64);

    private final int width;
    private final int numModules;

    Size(int width, int numModules) {
      this.width = width;
      this.numModules = numModules;
    }
  }

  private static final int CHECKED = 64;

  @Param Size size;

  @Param({"F32", "BF16"})
  DType weightType;

  @Param({"1", "8"})
  int numTokens;

  private MultiplicativeLayerProblem problem;
  private FloatPointer input; // [numTokens, width]
  private FloatPointer dense; // [width, width]
  private FloatPointer product; // [numTokens, width]

  @Setup
  public void setup() {
    openBackend();
    int width = size.width;
    int moduleSize = width / size.numModules;
    problem =
        MultiplicativeLayerProblem.reals(
            backend, DType.F32, weightType, numTokens, width, size.numModules, moduleSize);
    input = new FloatPointer(problem.input().toFloatArray());
    dense = new FloatPointer((long) width * width);
    product = new FloatPointer((long) numTokens * width);
    float[] modules = problem.moduleWeights().toFloatArray();
    float[] columns = problem.columnWeights().toFloatArray();
    float[] row = new float[width];
    for (int i = 0; i < width; i++) {
      for (int n = 0; n < width; n++)
        row[n] =
            modules[i * size.numModules + n / moduleSize]
                * columns[i * moduleSize + n % moduleSize];
      dense.position((long) i * width).put(row);
    }
    dense.position(0);
    check();
  }

  private void check() {
    float[] computed = problem.run();
    float[] bias = problem.bias().toFloatArray();
    baselineDense();
    for (int i = 0; i < CHECKED; i++) {
      int element = (int) ((long) i * (computed.length - 1) / (CHECKED - 1));
      var exact = problem.exact(element / size.width, element % size.width);
      double bound = problem.bound(exact);
      double withBias = product.get(element) + bias[element % size.width];
      if (!(Math.abs(computed[element] - exact.value()) <= bound)
          || !(Math.abs(withBias - exact.value()) <= 2 * bound))
        throw new AssertionError(
            "element " + element + ": " + computed[element] + ", dense " + withBias + ", " + exact);
    }
  }

  @TearDown
  public void tearDown() {
    problem.close();
    input.close();
    dense.close();
    product.close();
    backend.close();
  }

  @Benchmark
  public Tensor multiplicative() {
    MultiplicativeLayer.run(
        backend,
        problem.input(),
        problem.moduleWeights(),
        problem.columnWeights(),
        problem.bias(),
        problem.output());
    return arrived(problem.output());
  }

  @Benchmark
  public FloatPointer baselineDense() {
    if (numTokens == 1) {
      openblas.cblas_sgemv(
          openblas.CblasRowMajor,
          openblas.CblasTrans,
          size.width,
          size.width,
          1,
          dense,
          size.width,
          input,
          1,
          0,
          product,
          1);
      return product;
    }
    openblas.cblas_sgemm(
        openblas.CblasRowMajor,
        openblas.CblasNoTrans,
        openblas.CblasNoTrans,
        numTokens,
        size.width,
        size.width,
        1,
        input,
        size.width,
        dense,
        size.width,
        0,
        product,
        size.width);
    return product;
  }
}
