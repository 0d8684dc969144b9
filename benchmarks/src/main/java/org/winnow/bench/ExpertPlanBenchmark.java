package org.winnow.bench;

import java.util.Arrays;
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
import org.winnow.op.ExpertPlan;
import org.winnow.op.Routing;
import org.winnow.workload.MoeShape;

/**
 * Sorting 8 pairs per token by expert (of 128), against sorting (expert, pair) keys in Java. One
 * token: the cost of a call.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class ExpertPlanBenchmark extends BackendBenchmark {
  private static final MoeShape MODEL = MoeShape.QWEN3_30B_A3B;

  @Param({"1", "512"})
  int numTokens;

  private ExpertPlan plan;
  private Routing routing;
  private int[] expertIds;
  private long[] keys;

  @Setup
  public void setup() {
    openBackend();
    plan = new ExpertPlan(backend.memory());
    routing = new Routing(backend.memory());
    expertIds =
        new Random(42).ints((long) numTokens * MODEL.topK(), 0, MODEL.numExperts()).toArray();
    keys = new long[expertIds.length];
    int[] offsets = new int[numTokens + 1];
    for (int t = 0; t <= numTokens; t++) offsets[t] = t * MODEL.topK();
    routing.set(offsets, expertIds, new float[expertIds.length]);
    build();
    baselineSort();
    int[] sources = plan.sourceRows().toIntArray();
    int[] rows = plan.assignmentRows().toIntArray();
    for (int row = 0; row < keys.length; row++) {
      int pair = (int) keys[row];
      if (sources[row] != pair / MODEL.topK() || rows[pair] != row)
        throw new AssertionError("row " + row);
    }
  }

  @TearDown
  public void tearDown() {
    plan.close();
    routing.close();
    backend.close();
  }

  @Benchmark
  public ExpertPlan build() {
    plan.build(backend, routing, MODEL.numExperts());
    arrived(plan.sourceRows());
    return plan;
  }

  @Benchmark
  public long[] baselineSort() {
    for (int p = 0; p < keys.length; p++) keys[p] = (long) expertIds[p] << 32 | p;
    Arrays.sort(keys);
    return keys;
  }
}
