package org.winnow.bench;

import java.util.Arrays;
import java.util.Random;
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
import org.winnow.Tensor;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.KvCache;

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
  @Param({
    "QWEN3_30B_PREFILL",
    "QWEN3_30B_DECODE",
    "OLMOE_PREFILL",
    "OLMOE_DECODE",
    "GPT_OSS_20B_PREFILL",
    "GPT_OSS_20B_DECODE"
  })
  AttentionShape shape;

  private AttentionOptions options;
  private KvCache cache;
  private Tensor query;
  private Tensor output;
  private FloatPointer queries; // [numTokens, numHeads, headDim]
  private FloatPointer keys; // [numPositions, numKvHeads, headDim]
  private FloatPointer values;
  private FloatPointer scores; // [numTokens, numPositions] of one head
  private FloatPointer dense; // as output
  private float[] row;

  @Setup
  public void setup() {
    openBackend();
    Random random = new Random(42);
    options = AttentionOptions.causal((float) (1 / Math.sqrt(shape.headDim)));
    float[] q = RowsBenchmark.gaussian(random, shape.numTokens * shape.numHeads * shape.headDim);
    float[] k =
        RowsBenchmark.gaussian(random, shape.numPositions * shape.numKvHeads * shape.headDim);
    float[] v = RowsBenchmark.gaussian(random, k.length);
    query = backend.of(q, shape.numTokens, shape.numHeads, shape.headDim);
    output = backend.f32(shape.numTokens, shape.numHeads, shape.headDim);
    cache =
        new KvCache(
            backend.memory(),
            1,
            shape.numKvHeads,
            shape.headDim,
            shape.headDim,
            shape.numPositions);
    try (Tensor keyTensor = backend.of(k, shape.numPositions, shape.numKvHeads, shape.headDim);
        Tensor valueTensor = backend.of(v, shape.numPositions, shape.numKvHeads, shape.headDim)) {
      cache.append(backend, 0, keyTensor, valueTensor);
    }
    queries = new FloatPointer(q);
    keys = new FloatPointer(k);
    values = new FloatPointer(v);
    scores = new FloatPointer((long) shape.numTokens * shape.numPositions);
    dense = new FloatPointer(q.length);
    row = new float[shape.numPositions];
    attention();
    baselineDense();
    float[] computed = output.toFloatArray();
    for (int i = 0; i < q.length; i++) {
      if (!(Math.abs(computed[i] - dense.get(i))
          <= 1e-5f)) { // values are averages of normal numbers: below 4
        throw new AssertionError("element " + i + ": " + computed[i] + ", dense: " + dense.get(i));
      }
    }
  }

  @TearDown
  public void tearDown() {
    query.close();
    output.close();
    cache.close();
    backend.close();
  }

  @Benchmark
  public Tensor attention() {
    Attention.run(
        backend, query, cache, 0, (long) shape.numPositions - shape.numTokens, options, output);
    return arrived(output);
  }

  @Benchmark
  public FloatPointer baselineDense() {
    for (int head = 0; head < shape.numHeads; head++) {
      multiplyByKeys(head);
      softmax();
      multiplyByValues(head);
    }
    return dense;
  }

  @Benchmark
  public FloatPointer baselineProductsOnly() {
    for (int head = 0; head < shape.numHeads; head++) {
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
        shape.numTokens,
        shape.numPositions,
        shape.headDim,
        options.scale(),
        at(queries, head),
        shape.numHeads * shape.headDim,
        at(keys, kvHead(head)),
        shape.numKvHeads * shape.headDim,
        0,
        scores,
        shape.numPositions);
  }

  private void multiplyByValues(int head) {
    openblas.cblas_sgemm(
        openblas.CblasRowMajor,
        openblas.CblasNoTrans,
        openblas.CblasNoTrans,
        shape.numTokens,
        shape.headDim,
        shape.numPositions,
        1,
        scores,
        shape.numPositions,
        at(values, kvHead(head)),
        shape.numKvHeads * shape.headDim,
        0,
        at(dense, head),
        shape.numHeads * shape.headDim);
  }

  private void softmax() {
    for (int t = 0; t < shape.numTokens; t++) {
      int visible = shape.numPositions - shape.numTokens + t + 1;
      scores.position((long) t * shape.numPositions).get(row);
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
    return head / (shape.numHeads / shape.numKvHeads);
  }

  private FloatPointer at(FloatPointer heads, int head) {
    return new FloatPointer(heads).position((long) head * shape.headDim);
  }
}
