package org.winnow.bench;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas;
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
import org.winnow.workload.AttentionPhase;
import org.winnow.workload.AttentionShape;
import org.winnow.workload.AttentionWorkload;

/**
 * Causal attention of new tokens over a full cache, against dense attention in two passes with
 * OpenBLAS: per head {@code S = Q K^T} over all positions, a softmax in Java, {@code S V}. {@code
 * baselineProductsOnly} is the two products alone, without mask and softmax: what no dense form can
 * be faster than. Appending keys and values is not timed.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class AttentionBenchmark extends BackendBenchmark {
  @Param({"QWEN3_30B_A3B", "OLMOE", "GPT_OSS_20B"})
  AttentionShape shape;

  @Param AttentionPhase phase;

  /** What the cache holds. The baseline has the same values as f32. */
  @Param({"F32", "BF16", "F16"})
  DType element;

  private AttentionWorkload attention;
  private int numTokens;
  private int numPositions;
  private FloatPointer queries; // [numTokens, numHeads, headDim]
  private FloatPointer keys; // [numPositions, numKvHeads, headDim]
  private FloatPointer values;
  private FloatPointer scores; // [numTokens, numPositions] of one head
  private FloatPointer dense; // as output
  private float[] row;

  @Setup
  public void setup() {
    openBackend();
    numTokens = phase.numTokens();
    numPositions = phase.numPositions(shape);
    attention = new AttentionWorkload(backend, shape, element, numTokens, numPositions);
    queries = new FloatPointer(attention.query());
    keys = new FloatPointer(attention.keys());
    values = new FloatPointer(attention.values());
    scores = new FloatPointer((long) numTokens * numPositions);
    dense = new FloatPointer(attention.output().size());
    row = new float[numPositions];
    attention.run();
    attention.check();
    baselineDense();
    float[] computed = attention.output().toFloatArray();
    for (int i = 0; i < computed.length; i++) {
      if (!(Math.abs(computed[i] - dense.get(i))
          <= (element == DType.BF16 ? 0x1p-6f : 1e-5f))) { // averages of normal numbers: below 4
        throw new AssertionError("element " + i + ": " + computed[i] + ", dense: " + dense.get(i));
      }
    }
  }

  @TearDown
  public void tearDown() {
    attention.close();
    backend.close();
  }

  @Benchmark
  public Tensor attention() {
    attention.run();
    return arrived(attention.output());
  }

  @Benchmark
  public FloatPointer baselineDense() {
    for (int head = 0; head < shape.numHeads(); head++) {
      multiplyByKeys(head);
      softmax();
      multiplyByValues(head);
    }
    return dense;
  }

  @Benchmark
  public FloatPointer baselineProductsOnly() {
    for (int head = 0; head < shape.numHeads(); head++) {
      multiplyByKeys(head);
      multiplyByValues(head);
    }
    return dense;
  }

  private void multiplyByKeys(int head) {
    openblas.cblas_sgemm(
        openblas.CblasRowMajor,
        openblas.CblasNoTrans,
        openblas.CblasTrans,
        numTokens,
        numPositions,
        shape.keyWidth(),
        attention.scale(),
        at(queries, head),
        shape.numHeads() * shape.keyWidth(),
        at(keys, kvHead(head)),
        shape.numKvHeads() * shape.keyWidth(),
        0,
        scores,
        numPositions);
  }

  private void multiplyByValues(int head) {
    openblas.cblas_sgemm(
        openblas.CblasRowMajor,
        openblas.CblasNoTrans,
        openblas.CblasNoTrans,
        numTokens,
        shape.keyWidth(),
        numPositions,
        1,
        scores,
        numPositions,
        at(values, kvHead(head)),
        shape.numKvHeads() * shape.keyWidth(),
        0,
        at(dense, head),
        shape.numHeads() * shape.keyWidth());
  }

  private void softmax() {
    for (int t = 0; t < numTokens; t++) {
      int visible = numPositions - numTokens + t + 1;
      scores.position((long) t * numPositions).get(row);
      float max = Float.NEGATIVE_INFINITY;
      for (int j = 0; j < visible; j++) max = Math.max(max, row[j]);
      double sum = 0;
      for (int j = 0; j < visible; j++) sum += row[j] = (float) Math.exp(row[j] - max);
      float factor = (float) (1 / sum);
      for (int j = 0; j < visible; j++) row[j] *= factor;
      Arrays.fill(row, visible, row.length, 0);
      scores.put(row).position(0);
    }
  }

  private int kvHead(int head) {
    return head / (shape.numHeads() / shape.numKvHeads());
  }

  private FloatPointer at(FloatPointer heads, int head) {
    return new FloatPointer(heads).position((long) head * shape.keyWidth());
  }
}
