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
import org.winnow.op.ExpertPlan;
import org.winnow.op.MoeCombine;
import org.winnow.op.Routing;
import org.winnow.workload.MoeShape;

/**
 * Adding up 8 rows of 2048 per token, against a plain Java loop over arrays that does the same.
 * Bytes: (8 + 1) * 8192 per token. One token: the cost of a call.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class MoeCombineBenchmark extends BackendBenchmark {
  private static final MoeShape MODEL = MoeShape.QWEN3_30B_A3B;

  @Param({"1", "512"})
  int numTokens;

  private ExpertPlan plan;
  private Routing routing;
  private float[] rows;
  private float[] weights;
  private int[] assignmentRows;
  private float[] sums;
  private Tensor expertOutput;
  private Tensor output;

  @Setup
  public void setup() {
    openBackend();
    plan = new ExpertPlan(backend.memory());
    routing = new Routing(backend.memory());
    Random random = new Random(42);
    int numRows = numTokens * MODEL.topK();
    int[] offsets = new int[numTokens + 1];
    for (int t = 0; t <= numTokens; t++) offsets[t] = t * MODEL.topK();
    weights = new float[numRows];
    for (int p = 0; p < numRows; p++) weights[p] = random.nextFloat();
    routing.set(offsets, random.ints(numRows, 0, MODEL.numExperts()).toArray(), weights);
    plan.build(backend, routing, MODEL.numExperts());
    assignmentRows = plan.assignmentRows().slice(0, numRows).toIntArray();
    rows = new float[numRows * MODEL.hiddenSize()];
    for (int i = 0; i < rows.length; i++) rows[i] = random.nextFloat() - 0.5f;
    sums = new float[numTokens * MODEL.hiddenSize()];
    expertOutput = backend.of(rows, numRows, MODEL.hiddenSize());
    output = backend.f32(numTokens, MODEL.hiddenSize());
    combine();
    baselineLoop();
    float[] computed = output.toFloatArray();
    for (int i = 0; i < sums.length; i++) {
      if (computed[i] != sums[i])
        throw new AssertionError("element " + i + ": " + computed[i] + ", loop: " + sums[i]);
    }
  }

  @TearDown
  public void tearDown() {
    output.close();
    expertOutput.close();
    plan.close();
    routing.close();
    backend.close();
  }

  @Benchmark
  public Tensor combine() {
    MoeCombine.run(backend, expertOutput, routing, plan, null, null, output);
    return arrived(output);
  }

  @Benchmark
  public float[] baselineLoop() {
    for (int t = 0; t < numTokens; t++) {
      int begin = t * MODEL.hiddenSize();
      for (int i = 0; i < MODEL.hiddenSize(); i++) sums[begin + i] = 0;
      for (int p = t * MODEL.topK(); p < (t + 1) * MODEL.topK(); p++) {
        int row = assignmentRows[p] * MODEL.hiddenSize();
        for (int i = 0; i < MODEL.hiddenSize(); i++) sums[begin + i] += weights[p] * rows[row + i];
      }
    }
    return sums;
  }
}
