package org.winnow.bench;

import java.util.Random;
import java.util.concurrent.TimeUnit;
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
import org.winnow.layer.Linear;
import org.winnow.op.ThresholdedLinear;

/**
 * One token through a linear map of 4,096 inputs and outputs of which a share of the inputs is
 * small, against the dense {@link Linear} with the same type of weights. Each run takes other
 * weights, so that both read from DRAM.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class ThresholdedLinearBenchmark extends BackendBenchmark {
  private static final int SIZE = 4096;
  private static final int NUM_MATRICES = 8;

  @Param({"F32", "BF16"})
  DType dtype;

  /** Percent of the inputs that are left out. */
  @Param({"40", "50"})
  int small;

  private final Tensor[] weights = new Tensor[NUM_MATRICES];
  private final Linear[] dense = new Linear[NUM_MATRICES];
  private Tensor input;
  private Tensor output;
  private int run;

  @Setup
  public void setup() {
    openBackend();
    Random random = new Random(42);
    float[] x = new float[SIZE];
    int left = SIZE * small / 100;
    for (int i = 0; i < SIZE; i++)
      x[i] = random.nextInt(SIZE - i) < left ? less(left--) : 1; // as many as asked for
    input = backend.of(x, 1, SIZE);
    output = backend.f32(1, SIZE);
    for (int m = 0; m < NUM_MATRICES; m++) {
      weights[m] = backend.allocate(dtype, SIZE, SIZE).fill(0.5f);
      dense[m] = new Linear(weights[m], null);
    }
    thresholded();
    double expected = 0;
    for (float value : x) expected += value > 0.5f ? 0.5 * value : 0;
    if (!(Math.abs(output.getFloat(SIZE - 1) - expected) <= 1e-4 * expected))
      throw new AssertionError("found " + output.getFloat(SIZE - 1) + ", expected " + expected);
  }

  private static float less(int left) {
    return 0.25f / (1 + left % 3);
  }

  @TearDown
  public void tearDown() {
    for (Linear linear : dense) linear.close();
    for (Tensor weight : weights) weight.close();
    input.close();
    output.close();
    backend.close();
  }

  @Benchmark
  public Tensor thresholded() {
    ThresholdedLinear.run(backend, input, weights[run++ % NUM_MATRICES], null, 0.5f, output);
    return arrived(output);
  }

  @Benchmark
  public Tensor baselineDense() {
    dense[run++ % NUM_MATRICES].run(backend, input, output);
    return arrived(output);
  }
}
