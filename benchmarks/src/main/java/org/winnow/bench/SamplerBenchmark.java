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
import org.winnow.op.SamplerOptions;

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
    TOP_P_95,
    MIN_P_05,
    PENALTY_1000
  }

  private static final SamplerOptions WHOLE = SamplerOptions.ofTemperature(1);

  @Param({"GREEDY", "TEMPERATURE", "TOP_K_50", "TOP_P_95", "MIN_P_05", "PENALTY_1000"})
  Rule rule;

  private final float[] values = new float[151_936];
  private Tensor logits;
  private Tensor seen; // 1000 tokens
  private Sampler sampler;

  @Setup
  public void setup() {
    openBackend();
    Random random = new Random(42);
    for (int i = 0; i < values.length; i++) values[i] = (float) (3 * random.nextGaussian());
    logits = backend.of(values, values.length);
    seen = backend.of(random.ints(1000, 0, values.length).toArray(), 1000);
    sampler = new Sampler(options(), 7);
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
    if (rule == Rule.MIN_P_05) {
      for (int i = 0; i < 100; i++) {
        int token = sample();
        if (values[token] < values[order[0]] + Math.log(0.05))
          throw new AssertionError(token + " is less probable than 0.05 times the first");
      }
    }
  }

  private SamplerOptions options() {
    return switch (rule) {
      case GREEDY -> SamplerOptions.greedy();
      case TEMPERATURE -> WHOLE;
      case TOP_K_50 -> WHOLE.withTopK(50);
      case TOP_P_95 -> WHOLE.withTopP(0.95);
      case MIN_P_05 -> WHOLE.withMinP(0.05);
      case PENALTY_1000 -> SamplerOptions.greedy().withRepetitionPenalty(1.3);
    };
  }

  @TearDown
  public void tearDown() {
    seen.close();
    logits.close();
    backend.close();
  }

  @Benchmark
  public int sample() {
    return sampler.sample(backend, logits, seen);
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
