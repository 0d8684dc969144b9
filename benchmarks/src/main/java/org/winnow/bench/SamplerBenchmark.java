package org.winnow.bench;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
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
import org.winnow.op.Sampler;

/** One token of a vocabulary of 151,936 (Qwen3), against a sort of the whole vocabulary. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class SamplerBenchmark extends BackendBenchmark {
  /** What restricts the choice. */
  public enum Rule {
    GREEDY,
    TEMPERATURE,
    TOP_K_50,
    TOP_P_95
  }

  @Param({"GREEDY", "TEMPERATURE", "TOP_K_50", "TOP_P_95"})
  Rule rule;

  private final float[] values = new float[151_936];
  private Tensor logits;
  private Sampler sampler;

  @Setup
  public void setup() {
    openBackend();
    Random random = new Random(42);
    for (int i = 0; i < values.length; i++) values[i] = (float) (3 * random.nextGaussian());
    logits = backend.of(values, values.length);
    sampler =
        new Sampler(
            rule == Rule.GREEDY ? 0 : 1,
            rule == Rule.TOP_K_50 ? 50 : 0,
            rule == Rule.TOP_P_95 ? 0.95 : 1,
            7);
    int[] order = baselineSort();
    if (rule == Rule.GREEDY && sample() != order[0])
      throw new AssertionError("greedy took " + sample() + ", the largest is " + order[0]);
    if (rule == Rule.TOP_K_50) {
      for (int i = 0; i < 100; i++) {
        int token = sample();
        if (Arrays.stream(order, 0, 50).noneMatch(kept -> kept == token))
          throw new AssertionError(token + " is not among the first 50");
      }
    }
  }

  @TearDown
  public void tearDown() {
    logits.close();
    backend.close();
  }

  @Benchmark
  public int sample() {
    return sampler.sample(backend, logits);
  }

  @Benchmark
  public int[] baselineSort() {
    return IntStream.range(0, values.length)
        .boxed()
        .sorted(Comparator.comparingDouble(i -> -values[i]))
        .mapToInt(i -> i)
        .toArray();
  }
}
