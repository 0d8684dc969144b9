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
import org.winnow.attention.KvCache;
import org.winnow.attention.MlaAttention;
import org.winnow.attention.MlaWorkspace;
import org.winnow.attention.Rope;
import org.winnow.attention.RopeFrequencies;
import org.winnow.layer.Linear;
import org.winnow.workload.AttentionShape;
import org.winnow.workload.MoeShape;

/**
 * Latent attention with DeepSeek-V2-Lite's sizes (16 heads, 128 + 64, values of 128, latent of 512,
 * hidden 2048), f32, behind 1024 tokens: absorbed, against the plain form, which expands keys and
 * values of all heads. Projections are part of both.
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

  @Param({"1", "256"})
  int numTokens;

  private final MlaWorkspace workspace = new MlaWorkspace();
  private final Random random = new Random(42);
  private MlaAttention attention;
  private KvCache cache;
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
            1e-6f,
            Rope.Layout.INTERLEAVED);
    var weights =
        new MlaAttention.Weights(
            null,
            null,
            new Linear(matrix(HEADS * (NOPE + ROPE), HIDDEN), null),
            new Linear(matrix(LATENT + ROPE, HIDDEN), null),
            backend.f32(LATENT).fill(1),
            matrix(HEADS * (NOPE + VALUE), LATENT),
            new Linear(matrix(HIDDEN, HEADS * VALUE), null));
    attention = new MlaAttention(geometry, weights);
    cache = KvCache.ofLatents(backend.memory(), 1, LATENT, ROPE, BEFORE + numTokens);
    try (Tensor latents = matrix(BEFORE, LATENT);
        Tensor ropeKeys = matrix(BEFORE, ROPE)) {
      cache.appendLatents(backend, 0, latents, ropeKeys);
      cache.advance(BEFORE);
    }
    hidden = backend.of(RowsBenchmark.gaussian(random, numTokens * HIDDEN), numTokens, HIDDEN);
    output = backend.f32(numTokens, HIDDEN);
    cos = backend.f32(numTokens, ROPE / 2);
    sin = backend.f32(numTokens, ROPE / 2);
    RopeFrequencies.standard(ROPE, 10_000).angles(BEFORE, cos, sin);
    float[] absorbed = absorbed().toFloatArray();
    float[] plain = baselinePlain().toFloatArray();
    float largest = 0;
    for (float value : plain) largest = Math.max(largest, Math.abs(value));
    for (int i = 0; i < plain.length; i++) {
      if (!(Math.abs(absorbed[i] - plain[i]) <= 1e-5f * largest))
        throw new AssertionError("element " + i + ": " + absorbed[i] + ", plain: " + plain[i]);
    }
  }

  @TearDown
  public void tearDown() {
    attention.close();
    cache.close();
    workspace.close();
    backend.close();
  }

  @Benchmark
  public Tensor absorbed() {
    return run(MlaAttention.Form.ABSORBED);
  }

  @Benchmark
  public Tensor baselinePlain() {
    return run(MlaAttention.Form.PLAIN);
  }

  private Tensor run(MlaAttention.Form form) {
    attention.run(
        backend, hidden, cache, 0, cos, sin, form, workspace,
        output); // the tokens are written again each time: no advance
    return arrived(output);
  }

  private Tensor matrix(int rows, int columns) {
    float[] values = RowsBenchmark.gaussian(random, rows * columns);
    for (int i = 0; i < values.length; i++) values[i] /= (float) Math.sqrt(columns);
    return backend.of(values, rows, columns);
  }
}
