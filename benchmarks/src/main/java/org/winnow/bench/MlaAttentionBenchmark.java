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
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.attention.MlaAttention;
import org.winnow.attention.MlaWorkspace;
import org.winnow.attention.RopeFrequencies;
import org.winnow.layer.Linear;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.KvCache;
import org.winnow.op.RmsNorm;
import org.winnow.op.Rope;
import org.winnow.op.StridedCopy;
import org.winnow.workload.AttentionShape;
import org.winnow.workload.MoeShape;

/**
 * Latent attention with DeepSeek-V2-Lite's sizes (16 heads, 128 + 64, values of 128, latent of 512,
 * hidden 2048), f32, behind 1024 tokens: in the absorbed form over latents, against attention over
 * a cache that holds the keys and values of all heads. Projections are part of both.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class MlaAttentionBenchmark extends BackendBenchmark {
  private static final AttentionShape MODEL = AttentionShape.DEEPSEEK_V2_LITE;
  private static final int HIDDEN = MoeShape.DEEPSEEK_V2_LITE.hiddenSize();
  private static final int HEADS = MODEL.numHeads();
  private static final int LATENT = MODEL.valueWidth();
  private static final int ROPE = MODEL.keyWidth() - LATENT;
  private static final int NOPE = 128;
  private static final int VALUE = 128;
  private static final int BEFORE = 1024;
  private static final float EPSILON = 1e-6f;

  @Param({"1", "256"})
  int numTokens;

  private final MlaWorkspace workspace = new MlaWorkspace();
  private final Random random = new Random(42);
  private MlaAttention attention;
  private MlaAttention.Weights weights;
  private AttentionOptions causal;
  private Linear latentUp;
  private KvCache cache;
  private KvCache expandedCache;
  private Tensor query;
  private Tensor latentAndRope;
  private Tensor latent;
  private Tensor attended;
  private Tensor hidden;
  private Tensor cos;
  private Tensor sin;
  private Tensor output;

  @Setup
  public void setup() {
    openBackend();
    var geometry =
        new MlaAttention.Geometry(
            HEADS,
            NOPE,
            ROPE,
            VALUE,
            MlaAttention.scale(NOPE, ROPE, 0, 1),
            EPSILON,
            Rope.Layout.INTERLEAVED);
    Tensor up = matrix(HEADS * (NOPE + VALUE), LATENT);
    latentUp = new Linear(up, null);
    weights =
        new MlaAttention.Weights(
            null,
            null,
            new Linear(matrix(HEADS * (NOPE + ROPE), HIDDEN), null),
            new Linear(matrix(LATENT + ROPE, HIDDEN), null),
            backend.f32(LATENT).fill(1),
            up,
            new Linear(matrix(HIDDEN, HEADS * VALUE), null));
    attention = new MlaAttention(geometry, weights);
    cache = KvCache.ofLatents(backend.memory(), DType.F32, 1, LATENT, ROPE, BEFORE + numTokens);
    try (Tensor latents = matrix(BEFORE, LATENT);
        Tensor ropeKeys = matrix(BEFORE, ROPE)) {
      try (Tensor rows = backend.f32(BEFORE, 1, LATENT + ROPE)) {
        int width = LATENT + ROPE;
        StridedCopy.run(backend, latents, 0, LATENT, 0, rows, 0, width, 0, BEFORE, 1, LATENT);
        StridedCopy.run(backend, ropeKeys, 0, ROPE, 0, rows, LATENT, width, 0, BEFORE, 1, ROPE);
        cache.append(backend, 0, cache.keys(), rows);
      }
      cache.advance(BEFORE);
      expandedCache =
          new KvCache(
              backend.memory(), DType.F32, 1, HEADS, NOPE + ROPE, VALUE, BEFORE + numTokens);
      expand(latents, ropeKeys, BEFORE);
      expandedCache.advance(BEFORE);
    }
    causal = AttentionOptions.causal(geometry.scale());
    query = backend.f32(numTokens, HEADS, NOPE + ROPE);
    latentAndRope = backend.f32(numTokens, LATENT + ROPE);
    latent = backend.f32(numTokens, LATENT);
    attended = backend.f32(numTokens, HEADS, VALUE);
    hidden = backend.of(RowsBenchmark.gaussian(random, numTokens * HIDDEN), numTokens, HIDDEN);
    output = backend.f32(numTokens, HIDDEN);
    cos = backend.f32(numTokens, ROPE / 2);
    sin = backend.f32(numTokens, ROPE / 2);
    RopeFrequencies.standard(ROPE, 10_000).angles(BEFORE, cos, sin);
    float[] absorbed = absorbed().toFloatArray();
    float[] plain = baselineExpandedCache().toFloatArray();
    float largest = 0;
    for (float value : plain) largest = Math.max(largest, Math.abs(value));
    for (int i = 0; i < plain.length; i++) {
      if (!(Math.abs(absorbed[i] - plain[i]) <= 1e-5f * largest))
        throw new AssertionError("element " + i + ": " + absorbed[i] + ", expanded: " + plain[i]);
    }
  }

  @TearDown
  public void tearDown() {
    attention.close();
    cache.close();
    expandedCache.close();
    workspace.close();
    backend.close();
  }

  @Benchmark
  public Tensor absorbed() {
    attention.run(
        backend, hidden, cache, 0, cos, sin, workspace,
        output); // the tokens are written again each time: no advance
    return arrived(output);
  }

  @Benchmark
  public Tensor baselineExpandedCache() {
    weights.queryUp().run(backend, hidden, query.reshape(numTokens, HEADS * (NOPE + ROPE)));
    Rope.run(backend, query, cos, sin, NOPE, Rope.Layout.INTERLEAVED);
    weights.latentDown().run(backend, hidden, latentAndRope);
    Tensor oneHead = latentAndRope.reshape(numTokens, 1, LATENT + ROPE);
    Rope.run(backend, oneHead, cos, sin, LATENT, Rope.Layout.INTERLEAVED);
    copy(latentAndRope, 0, LATENT + ROPE, latent, 0, LATENT, numTokens, LATENT);
    RmsNorm.run(backend, latent, weights.latentNorm(), latent, EPSILON);
    expand(latent, latentAndRope, numTokens);
    Attention.run(backend, query, expandedCache, 0, BEFORE, causal, attended);
    weights.output().run(backend, attended.reshape(numTokens, HEADS * VALUE), output);
    return arrived(output);
  }

  /** Appends keys and values of all heads for these latents and rotary keys. */
  private void expand(Tensor latents, Tensor ropeKeys, int rows) {
    try (Tensor both = backend.f32(rows, HEADS * (NOPE + VALUE));
        Tensor keys = backend.f32(rows, HEADS, NOPE + ROPE);
        Tensor values = backend.f32(rows, HEADS, VALUE)) {
      latentUp.run(backend, latents, both);
      int from = HEADS * (NOPE + VALUE);
      int to = HEADS * (NOPE + ROPE);
      for (int h = 0; h < HEADS; h++) {
        copy(both, h * (NOPE + VALUE), from, keys, h * (NOPE + ROPE), to, rows, NOPE);
        int width = (int) ropeKeys.dim(1);
        copy(ropeKeys, width - ROPE, width, keys, h * (NOPE + ROPE) + NOPE, to, rows, ROPE);
        copy(both, h * (NOPE + VALUE) + NOPE, from, values, h * VALUE, HEADS * VALUE, rows, VALUE);
      }
      expandedCache.append(backend, 0, expandedCache.keys(), keys);
      expandedCache.append(backend, 0, expandedCache.values(), values);
    }
  }

  private void copy(
      Tensor from,
      int begin,
      int stride,
      Tensor to,
      int toBegin,
      int toStride,
      int rows,
      int width) {
    StridedCopy.run(backend, from, begin, stride, 0, to, toBegin, toStride, 0, rows, 1, width);
  }

  private Tensor matrix(int rows, int columns) {
    float[] values = RowsBenchmark.gaussian(random, rows * columns);
    for (int i = 0; i < values.length; i++) values[i] /= (float) Math.sqrt(columns);
    return backend.of(values, rows, columns);
  }
}
