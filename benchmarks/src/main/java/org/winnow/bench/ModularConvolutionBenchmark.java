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
import org.winnow.Tensor;
import org.winnow.layer.Linear;
import org.winnow.op.ModularConvolution;

/**
 * The 3 x 3 convolution of a Scaling Transformer of 1,024 in 16 modules, one position with its
 * state, or 128 positions, against the dense projection that it replaces.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class ModularConvolutionBenchmark extends BackendBenchmark {
  private static final int MODULES = 16;
  private static final int SIZE = 64;

  @Param({"1", "128"})
  int numTokens;

  private Tensor input;
  private Tensor state;
  private Tensor next;
  private Tensor kernel;
  private Tensor output;
  private Tensor weight;
  private Tensor dense;
  private Linear linear;

  @Setup
  public void setup() {
    openBackend();
    Random random = new Random(42);
    float[] values = new float[9 * SIZE * SIZE];
    for (int i = 0; i < values.length; i++) values[i] = random.nextInt(5) - 2;
    kernel = backend.of(values, 3, 3, SIZE, SIZE);
    input = backend.f32(numTokens, MODULES, SIZE).fill(1);
    state = backend.f32(2, MODULES, SIZE).fill(1);
    next = backend.f32(2, MODULES, SIZE);
    output = backend.f32(numTokens, MODULES, SIZE);
    int width = MODULES * SIZE;
    weight = backend.f32(width, width).fill(0.5f);
    dense = backend.f32(numTokens, width);
    linear = new Linear(weight, null);
    convolution();
    double expected = 0; // of a module that has both neighbours
    for (int k = 0; k < 9 * SIZE; k++) expected += values[k * SIZE];
    float found = output.getFloat(SIZE);
    if (found != expected) throw new AssertionError("found " + found + ", expected " + expected);
  }

  @TearDown
  public void tearDown() {
    linear.close();
    for (Tensor t : new Tensor[] {input, state, next, kernel, output, weight, dense}) t.close();
    backend.close();
  }

  @Benchmark
  public Tensor convolution() {
    ModularConvolution.run(backend, input, state, kernel, null, output, next);
    return arrived(output);
  }

  @Benchmark
  public Tensor baselineDense() {
    linear.run(backend, input.reshape(numTokens, MODULES * SIZE), dense);
    return arrived(dense);
  }
}
