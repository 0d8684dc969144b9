package org.winnow.bench;

import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
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

/**
 * The feed-forward block of one MoE layer, gate and up fused with SiLU, then down, against OpenBLAS
 * computing every expert for every token. Tokens are routed already; routing and combining are not
 * timed. Weights come from DRAM. The baseline is f32 for both types, because its binding has no
 * bf16 product, and it leaves out the activation.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class GroupedGemmBenchmark {
  private static final int ROW_MAJOR = 101; // CBLAS_ORDER, then CBLAS_TRANSPOSE
  private static final int AS_STORED = 111;
  private static final int TRANSPOSED = 112;

  @Param({"MIXTRAL_LIKE", "QWEN3_30B_A3B", "OLMOE", "GPT_OSS_20B", "DEEPSEEK_V2_LITE"})
  MoeShape model;

  @Param({"BF16", "F32"})
  DType dtype;

  @Param({"1", "16", "128", "512"})
  int numTokens;

  /** OpenBLAS takes its own from OPENBLAS_NUM_THREADS. */
  @Param("1")
  int numThreads;

  private CpuBackend backend;
  private Tensor pool;
  private MoeFfn sparse;
  private Tensor densePool;
  private Tensor denseInput;
  private Tensor denseInner;
  private Tensor denseOutput;
  private long cursor;

  @Setup
  public void setup() {
    backend = new CpuBackend(InstructionSet.best(), numThreads);
    pool = MoeFfn.pool(dtype);
    sparse = new MoeFfn(model, dtype, numTokens, pool, new Random(42));
    sparse();
    sparse.assertSpotChecks(new Random(1), 64);
    densePool = dtype == DType.F32 ? pool : MoeFfn.pool(DType.F32);
    denseInput = Tensor.f32(numTokens, model.hiddenSize).fill(1);
    denseInner = Tensor.f32(numTokens, model.intermediateSize);
    denseOutput = Tensor.f32(numTokens, model.hiddenSize);
    baselineDense();
    double expected = 0;
    for (int k = 0; k < model.hiddenSize; k++)
      expected += densePool.getFloat(cursor - 2L * model.hiddenSize * model.intermediateSize + k);
    double found = denseInner.getFloat(0); // of the last expert's up
    if (!(Math.abs(found - expected) <= 1e-3))
      throw new AssertionError("wrong dense product: found " + found + ", expected " + expected);
  }

  @TearDown
  public void tearDown() {
    sparse.close();
    backend.close();
    for (Tensor tensor : new Tensor[] {pool, densePool, denseInput, denseInner, denseOutput})
      tensor.close();
  }

  @Benchmark
  public Tensor sparse() {
    sparse.rotate();
    return sparse.run(backend);
  }

  @Benchmark
  public Tensor baselineDense() {
    long matrix = (long) model.hiddenSize * model.intermediateSize;
    for (int e = 0; e < model.numExperts; e++) {
      if (cursor + 3 * matrix > densePool.size()) cursor = 0;
      for (int projection = 0; projection < 2; projection++) {
        multiply(denseInput, cursor, denseInner, model.hiddenSize, model.intermediateSize);
        cursor += matrix;
      }
      multiply(denseInner, cursor, denseOutput, model.intermediateSize, model.hiddenSize);
      cursor += matrix;
    }
    return denseOutput;
  }

  private void multiply(Tensor input, long weight, Tensor output, int inputSize, int outputSize) {
    openblas_nolapack.cblas_sgemm(
        ROW_MAJOR,
        AS_STORED,
        TRANSPOSED,
        numTokens,
        outputSize,
        inputSize,
        1,
        new At(input.address()),
        inputSize,
        new At(densePool.address() + 4 * weight),
        inputSize,
        0,
        new At(output.address()),
        outputSize);
  }

  /** Memory of a tensor's. */
  private static final class At extends FloatPointer {
    private static final long serialVersionUID = 1L;

    At(long address) {
      super((Pointer) null);
      this.address = address;
    }
  }
}
