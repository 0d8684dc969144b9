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
import org.winnow.workload.MoeShape;

/**
 * An operation on the rows of a residual stream, [numTokens, 2880] f32 (the width of gpt-oss-20b),
 * beside a plain Java loop over arrays that does the same. Data is warm; one token shows the cost
 * of a call.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public abstract class RowsBenchmark extends BackendBenchmark {
  static final int WIDTH = MoeShape.GPT_OSS_20B.hiddenSize();

  @Param({"1", "512"})
  int numTokens;

  Tensor input; // [numTokens, WIDTH]
  Tensor output; // likewise
  float[] inputArray;
  float[] outputArray;

  /** Whatever else the operation needs. */
  abstract void prepare(Random random);

  /** Writes {@link #output}. */
  abstract void run();

  /** Writes {@link #outputArray}. */
  abstract void loop();

  @Benchmark
  public Tensor operation() {
    run();
    return arrived(output);
  }

  @Benchmark
  public float[] baselineLoop() {
    loop();
    return outputArray;
  }

  @Setup
  public void setup() {
    openBackend();
    Random random = new Random(42);
    inputArray = gaussian(random, numTokens * WIDTH);
    outputArray = new float[inputArray.length];
    input = backend.of(inputArray, numTokens, WIDTH);
    output = backend.f32(numTokens, WIDTH);
    prepare(random);
    run();
    loop();
    float[] computed = output.toFloatArray();
    for (int i = 0; i < outputArray.length; i++) {
      if (!(Math.abs(computed[i] - outputArray[i])
          <= 1e-5f * Math.max(1, Math.abs(outputArray[i])))) {
        throw new AssertionError("element " + i + ": " + computed[i] + ", loop: " + outputArray[i]);
      }
    }
  }

  @TearDown
  public void tearDown() {
    input.close();
    output.close();
    backend.close();
  }

  static float[] gaussian(Random random, int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = (float) random.nextGaussian();
    return values;
  }
}
