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
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.workload.MoeFfnWorkload;
import org.winnow.workload.MoeShape;
import org.winnow.workload.WeightPool;

/**
 * The feed-forward block of one MoE layer, gate and up fused with SiLU, then down, against OpenBLAS
 * computing every expert for every token. Tokens are routed already; routing and combining are not
 * timed. Weights come from DRAM. The baseline is f32 for both types, because its binding has no
 * bf16 product, and it leaves out the activation; it runs on the CPU whatever the backend. On a
 * device the time ends when the first value of the result has arrived in the host's memory.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class GroupedGemmBenchmark {
  @Param({"MIXTRAL_LIKE", "QWEN3_30B_A3B", "OLMOE", "GPT_OSS_20B", "DEEPSEEK_V2_LITE"})
  MoeShape model;

  @Param({"BF16", "F32"})
  DType dtype;

  @Param({"1", "16", "128", "512"})
  int numTokens;

  @Param("1")
  int numThreads;

  /** As {@link Backend#require} takes it. */
  @Param("cpu")
  String backendName;

  private Backend backend;
  private WeightPool pool;
  private MoeFfnWorkload sparse;

  @Setup
  public void setup() {
    backend =
        backendName.equals("cpu")
            ? new CpuBackend(InstructionSet.best(), numThreads)
            : Backend.require(backendName);
    pool = new WeightPool(backend, dtype, WeightPool.BEYOND_CACHES);
    sparse = new MoeFfnWorkload(backend, model, pool, numTokens, new Random(42));
    sparse.run();
    sparse.check();
  }

  @TearDown
  public void tearDown() {
    sparse.close();
    pool.close();
    backend.close();
  }

  @Benchmark
  public Tensor sparse() {
    sparse.run();
    return BackendBenchmark.arrived(sparse.output());
  }

  /** What the baseline alone needs. */
  @State(Scope.Benchmark)
  public static class Dense {
    private WeightPool pool;
    private DenseFfn ffn;

    @Setup
    public void setup(GroupedGemmBenchmark of) {
      pool = new WeightPool(TensorMemory.host(), DType.F32, WeightPool.BEYOND_CACHES);
      ffn = new DenseFfn(of.model, of.numTokens, pool, of.numThreads);
      ffn.run();
      ffn.assertSpotCheck();
    }

    @TearDown
    public void tearDown() {
      ffn.close();
      pool.close();
    }
  }

  @Benchmark
  public Tensor baselineDense(Dense dense) {
    return dense.ffn.run();
  }
}
