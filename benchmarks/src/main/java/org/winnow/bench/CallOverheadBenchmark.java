package org.winnow.bench;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.winnow.Backend;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.op.Activation;
import org.winnow.op.Add;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.Clamp;
import org.winnow.op.Embedding;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.ExpertPlan;
import org.winnow.op.GroupedGemm;
import org.winnow.op.KvCache;
import org.winnow.op.LayerNorm;
import org.winnow.op.MoeCombine;
import org.winnow.op.RmsNorm;
import org.winnow.op.Rope;
import org.winnow.op.Routing;
import org.winnow.op.Sampler;
import org.winnow.op.StridedCopy;
import org.winnow.op.TopKRouter;

/**
 * Every operation at its smallest size, on one thread: what a call costs, checks, native transition
 * and the kernel's own beginning and end included. With {@code -prof gc}: what a call allocates,
 * which must be nothing. The baseline is the least that any operation does.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 2, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 3, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Fork(1)
public class CallOverheadBenchmark {
  private final Backend backend = new CpuBackend(InstructionSet.best(), 1);
  private final Tensor two = Tensor.of(new float[] {2}, 1, 1);
  private final Tensor three = Tensor.of(new float[] {3}, 1, 1);
  private final Tensor vector = Tensor.of(new float[] {3}, 1);
  private final Tensor accumulator = Tensor.f32(1, 1);
  private final Tensor output = Tensor.f32(1, 1);
  private final Tensor token = Tensor.of(new int[] {0}, 1);
  private final Tensor head = Tensor.of(new float[] {4, 5}, 1, 1, 2);
  private final Tensor headOutput = Tensor.f32(1, 1, 2);
  private final Tensor rotated = Tensor.of(new float[] {4, 5}, 1, 1, 2);
  private final Tensor cos = Tensor.of(new float[] {1}, 1, 1);
  private final Tensor sin = Tensor.of(new float[] {0}, 1, 1);
  private final KvCache cache = new KvCache(1, 1, 2, 2, 1);
  private final AttentionOptions causal = AttentionOptions.causal(1);
  private final Sampler sampler = Sampler.greedy();
  private final TopKRouter router = TopKRouter.softmax(1).build();
  private final Routing routing = new Routing();
  private final ExpertPlan plan = new ExpertPlan();
  private final ExpertMatrices matrices =
      new ExpertMatrices(WeightFormat.F32, 1, 1, 1, false, false);

  @Setup
  public void setup() {
    kvAppend();
    matrices.set(0, Matrix.of(three), null, null, null);
    accumulator.fill(1);
    expect(3, add());
    expect(2, clamp());
    expect(3, embedding());
    expect(3, layerNorm());
    expect(3, rmsNorm());
    expect(4, rope());
    expect(2, stridedCopy());
    expect(4, attention());
    topKRouter();
    expertPlan();
    expect(6, groupedGemm());
    expect(2, moeCombine());
    if (sampler() != 0) throw new AssertionError("sampler took " + sampler());
  }

  private static void expect(float expected, Tensor found) {
    if (found.getFloat(0) != expected)
      throw new AssertionError("expected " + expected + ", found " + found.getFloat(0));
  }

  @TearDown
  public void tearDown() {
    cache.close();
    routing.close();
    plan.close();
    matrices.close();
    for (Tensor tensor :
        new Tensor[] {
          two, three, vector, accumulator, output, token, head, headOutput, rotated, cos, sin
        }) tensor.close();
    backend.close();
  }

  /** A clock that is read: about what leaving the Java code of a method costs. */
  @Benchmark
  public long baselineNanoTime() {
    return System.nanoTime();
  }

  @Benchmark
  public Tensor add() {
    Add.run(backend, accumulator, two);
    return accumulator;
  }

  @Benchmark
  public Tensor attention() {
    Attention.run(backend, head, cache, 0, 0, causal, headOutput);
    return headOutput;
  }

  @Benchmark
  public Tensor clamp() {
    Clamp.run(backend, two, 5);
    return two;
  }

  @Benchmark
  public Tensor embedding() {
    Embedding.run(backend, three, token, output);
    return output;
  }

  @Benchmark
  public ExpertPlan expertPlan() {
    plan.build(backend, routing, 1);
    return plan;
  }

  @Benchmark
  public Tensor groupedGemm() {
    GroupedGemm.run(backend, two, plan, matrices, Activation.NONE, output);
    return output;
  }

  @Benchmark
  public KvCache kvAppend() {
    cache.append(backend, 0, head, head); // the same position each time: no advance
    return cache;
  }

  @Benchmark
  public Tensor layerNorm() {
    LayerNorm.run(backend, two, vector, vector, output, 0.5f);
    return output;
  }

  @Benchmark
  public Tensor moeCombine() {
    MoeCombine.run(backend, two, routing, plan, null, null, output);
    return output;
  }

  @Benchmark
  public Tensor rmsNorm() {
    RmsNorm.run(backend, two, vector, output, 0);
    return output;
  }

  @Benchmark
  public Tensor rope() {
    Rope.run(backend, rotated, cos, sin, 0, Rope.Layout.HALF_SPLIT);
    return rotated;
  }

  @Benchmark
  public int sampler() {
    return sampler.sample(backend, vector);
  }

  @Benchmark
  public Tensor stridedCopy() {
    StridedCopy.run(backend, two, 0, 1, 1, output, 0, 1, 1, 1, 1, 1);
    return output;
  }

  @Benchmark
  public Routing topKRouter() {
    router.run(backend, two, routing);
    return routing;
  }
}
