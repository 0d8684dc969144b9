package org.winnow.bench;

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
import org.winnow.workload.MoeBlockWorkload;
import org.winnow.workload.MoeShape;
import org.winnow.workload.WeightPool;

/**
 * A whole MoE layer, router to combine, bf16, all experts in memory, against the same kernels
 * computing every expert for every token. Tokens are random, so that 32 of them reach nearly all
 * experts. Runs take other tokens in turn, so that one token's experts come from memory.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class MoeLayerBenchmark extends BackendBenchmark {
  @Param({"OLMOE", "QWEN3_30B_A3B"})
  MoeShape model;

  @Param({"1", "32"})
  int numTokens;

  private WeightPool pool;
  private MoeBlockWorkload sparse;
  private MoeBlockWorkload dense;

  @Setup
  public void setup() {
    openBackend();
    pool = new WeightPool(backend, DType.BF16, WeightPool.BEYOND_CACHES);
    sparse = new MoeBlockWorkload(backend, model, pool, numTokens);
    dense = MoeBlockWorkload.dense(backend, model, pool, numTokens);
    sparse.run();
    sparse.check();
  }

  @TearDown
  public void tearDown() {
    dense.close();
    sparse.close();
    pool.close();
    backend.close();
  }

  @Benchmark
  public Tensor sparse() {
    sparse.run();
    return arrived(sparse.output());
  }

  @Benchmark
  public Tensor baselineDense() {
    dense.run();
    return arrived(dense.output());
  }
}
