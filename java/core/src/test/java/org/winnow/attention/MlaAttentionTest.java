package org.winnow.attention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.layer.Linear;
import org.winnow.op.AttentionProblem;
import org.winnow.op.KvCache;
import org.winnow.op.Rope;

@ContractTest
public class MlaAttentionTest {
  private static final double U = 0x1p-24;
  private static final int HIDDEN = 9;
  private static final int QUERY_RANK = 6;
  private static final int LATENT = 5;
  private static final int HEADS = 3;
  private static final int NOPE = 4;
  private static final int ROPE = 2;
  private static final int VALUE = 3;
  private static final int TOKENS = BackendsUnderTest.sized(70, 140);
  private static final float EPSILON = 1e-6f;

  private final List<AutoCloseable> open = new ArrayList<>();
  private Backend backend = BackendsUnderTest.shared();
  private final RopeFrequencies frequencies = RopeFrequencies.standard(ROPE, 10000);

  @AfterEach
  void close() throws Exception {
    for (int i = open.size() - 1; i >= 0; i--) open.get(i).close();
  }

  @ParameterizedTest
  @CsvSource({"true, F32", "false, F32", "true, BF16", "false, F16"})
  void agreesWithDoublePrecision(boolean queryLatent, DType latentUpType) {
    Model model = new Model(queryLatent, latentUpType);
    float[] found = model.run(TOKENS);
    Bounded[][] exact = model.exact();
    double worst = 0;
    for (int t = 0; t < TOKENS; t++) {
      for (int i = 0; i < HIDDEN; i++) {
        double error = Math.abs(found[t * HIDDEN + i] - exact[t][i].value);
        assertThat(error).as("token %d, element %d", t, i).isLessThanOrEqualTo(exact[t][i].error);
        worst = Math.max(worst, exact[t][i].error);
      }
    }
    assertThat(worst).as("the bound must say something").isLessThan(2e-2);
  }

  @ParameterizedTest
  @MethodSource("org.winnow.BackendsUnderTest#variantsOfIndependentRows")
  void hasTheSameBitsInOneBatchAndTokenByToken(BackendsUnderTest.Variant variant) {
    backend = variant.backend();
    Model model = new Model(true, DType.F32);
    float[] expected = model.run(TOKENS);
    assertThat(model.run(1)).isEqualTo(expected);
    assertThat(model.run(TOKENS / 2 - 4)).isEqualTo(expected);
  }

  @Test
  void refusesWhatDoesNotFit() {
    Model model = new Model(true, DType.F32);
    Tensor hidden = keep(backend.f32(2, HIDDEN));
    Tensor output = keep(backend.f32(2, HIDDEN));
    Tensor angles = keep(backend.f32(2, ROPE / 2));
    MlaWorkspace workspace = keep(new MlaWorkspace());
    KvCache plainCache =
        keep(new KvCache(backend.memory(), DType.F32, 1, 1, LATENT + ROPE, LATENT, 10));
    assertThatThrownBy(
            () -> model.mla.run(backend, hidden, plainCache, 0, angles, angles, workspace, output))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("cache must hold latents of 5 + 2, found keys and values");
    KvCache narrow = keep(KvCache.ofLatents(backend.memory(), DType.F32, 1, 4, 2, 10));
    assertThatThrownBy(
            () -> model.mla.run(backend, hidden, narrow, 0, angles, angles, workspace, output))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("cache must hold latents of 5 + 2, found 4 + 2");
    var geometry =
        new MlaAttention.Geometry(HEADS + 1, NOPE, ROPE, VALUE, 1, 0, Rope.Layout.INTERLEAVED);
    assertThatThrownBy(() -> new MlaAttention(geometry, model.weights))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("latentUp must be [28, 5], found [21, 5]");
    workspace.close();
    KvCache cache = keep(KvCache.ofLatents(backend.memory(), DType.F32, 1, LATENT, ROPE, 10));
    assertThatThrownBy(
            () -> model.mla.run(backend, hidden, cache, 0, angles, angles, workspace, output))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("workspace is closed");
  }

  @Test
  void scaleFollowsTheRuleOfYarn() {
    assertThat(MlaAttention.scale(128, 64, 0, 40)).isEqualTo((float) (1 / Math.sqrt(192)));
    double magnitude = 0.1 * Math.log(40) + 1;
    assertThat(MlaAttention.scale(128, 64, 1, 40))
        .isEqualTo((float) (magnitude * magnitude / Math.sqrt(192)));
    assertThat(MlaAttention.scale(128, 64, 1, 1)).isEqualTo((float) (1 / Math.sqrt(192)));
  }

  private <T extends AutoCloseable> T keep(T resource) {
    open.add(resource);
    return resource;
  }

  /**
   * A real number and a bound of the error with which f32 arithmetic knows it: running error
   * analysis, term by term.
   */
  private record Bounded(double value, double error) {
    Bounded plus(Bounded other) {
      return new Bounded(
          value + other.value, error + other.error + U * Math.abs(value + other.value));
    }

    Bounded times(Bounded other) {
      double product = value * other.value;
      return new Bounded(
          product,
          Math.abs(value) * other.error
              + Math.abs(other.value) * error
              + error * other.error
              + U * Math.abs(product));
    }

    /** A sum of products in any order, fused or not. */
    static Bounded dot(Bounded[] a, Bounded[] b) {
      double sum = 0;
      double error = 0;
      double magnitude = 0;
      for (int i = 0; i < a.length; i++) {
        Bounded product = a[i].times(b[i]);
        sum += product.value;
        error += product.error;
        magnitude += Math.abs(product.value) + product.error;
      }
      return new Bounded(sum, error + a.length * U * magnitude);
    }
  }

  /**
   * One layer with random weights, its inputs, and the same in double precision by the plain
   * formula.
   */
  private final class Model {
    private final Random random = new Random(11);
    private final float[] hidden = AttentionProblem.gaussian(random, TOKENS * HIDDEN);
    private final Tensor queryDown = matrix(QUERY_RANK, HIDDEN);
    private final Tensor queryNorm =
        keep(backend.of(AttentionProblem.gaussian(random, QUERY_RANK), QUERY_RANK));
    private final Tensor queryUp;
    private final Tensor latentDown = matrix(LATENT + ROPE, HIDDEN);
    private final Tensor latentNorm =
        keep(backend.of(AttentionProblem.gaussian(random, LATENT), LATENT));
    private final Tensor latentUp;
    private final Tensor output = matrix(HIDDEN, HEADS * VALUE);
    private final boolean queryLatent;
    private final MlaAttention.Weights weights;
    private final MlaAttention mla;

    Model(boolean queryLatent, DType latentUpType) {
      this.queryLatent = queryLatent;
      queryUp = matrix(HEADS * (NOPE + ROPE), queryLatent ? QUERY_RANK : HIDDEN);
      latentUp = keep(backend.allocate(latentUpType, HEADS * (NOPE + VALUE), LATENT));
      latentUp.copyFrom(AttentionProblem.gaussian(random, HEADS * (NOPE + VALUE) * LATENT));
      weights =
          new MlaAttention.Weights(
              queryLatent ? linear(queryDown) : null,
              queryLatent ? queryNorm : null,
              linear(queryUp),
              linear(latentDown),
              latentNorm,
              latentUp,
              linear(output));
      float scale = MlaAttention.scale(NOPE, ROPE, 0, 1);
      mla =
          keep(
              new MlaAttention(
                  new MlaAttention.Geometry(
                      HEADS, NOPE, ROPE, VALUE, scale, EPSILON, Rope.Layout.INTERLEAVED),
                  weights));
    }

    float[] run(int tokensPerCall) {
      float[] result = new float[TOKENS * HIDDEN];
      try (MlaWorkspace workspace = new MlaWorkspace();
          KvCache cache = KvCache.ofLatents(backend.memory(), DType.F32, 2, LATENT, ROPE, TOKENS)) {
        for (int t = 0; t < TOKENS; t += tokensPerCall) {
          int count = Math.min(tokensPerCall, TOKENS - t);
          try (Tensor in =
                  backend.of(
                      Arrays.copyOfRange(hidden, t * HIDDEN, (t + count) * HIDDEN), count, HIDDEN);
              Tensor out = backend.f32(count, HIDDEN);
              Tensor cos = backend.f32(count, ROPE / 2);
              Tensor sin = backend.f32(count, ROPE / 2)) {
            frequencies.angles(t, cos, sin);
            mla.run(backend, in, cache, 0, cos, sin, workspace, out.fill(Float.NaN));
            mla.run(
                backend,
                in,
                cache,
                1,
                cos,
                sin,
                workspace,
                out.fill(Float.NaN)); // layers do not mix
            cache.advance(count);
            System.arraycopy(out.toFloatArray(), 0, result, t * HIDDEN, count * HIDDEN);
          }
        }
      }
      return result;
    }

    Bounded[][] exact() {
      Bounded[][] result = new Bounded[TOKENS][];
      Bounded[][][] queries = new Bounded[TOKENS][HEADS][];
      Bounded[][][] keys = new Bounded[TOKENS][HEADS][];
      Bounded[][][] values = new Bounded[TOKENS][HEADS][];
      for (int t = 0; t < TOKENS; t++) {
        Bounded[] x = exactly(Arrays.copyOfRange(hidden, t * HIDDEN, (t + 1) * HIDDEN));
        Bounded[] q =
            queryLatent ? times(queryUp, norm(times(queryDown, x), queryNorm)) : times(queryUp, x);
        Bounded[] latentAndRope = times(latentDown, x);
        Bounded[] up = times(latentUp, norm(Arrays.copyOf(latentAndRope, LATENT), latentNorm));
        Bounded[] keyRope = turn(Arrays.copyOfRange(latentAndRope, LATENT, LATENT + ROPE), t);
        for (int h = 0; h < HEADS; h++) {
          Bounded[] head = Arrays.copyOfRange(q, h * (NOPE + ROPE), (h + 1) * (NOPE + ROPE));
          queries[t][h] =
              concat(
                  Arrays.copyOf(head, NOPE), turn(Arrays.copyOfRange(head, NOPE, NOPE + ROPE), t));
          keys[t][h] =
              concat(
                  Arrays.copyOfRange(up, h * (NOPE + VALUE), h * (NOPE + VALUE) + NOPE), keyRope);
          values[t][h] =
              Arrays.copyOfRange(up, h * (NOPE + VALUE) + NOPE, (h + 1) * (NOPE + VALUE));
        }
        Bounded[] attended = new Bounded[0];
        for (int h = 0; h < HEADS; h++)
          attended = concat(attended, attend(queries[t][h], keys, values, t, h));
        result[t] = times(output, attended);
      }
      return result;
    }

    /**
     * A weight e^z is off by its exponent's error (absorbed: a product of two more dot products of
     * LATENT terms) and a few roundings.
     */
    private Bounded[] attend(
        Bounded[] query, Bounded[][][] keys, Bounded[][][] values, int position, int head) {
      double scale = MlaAttention.scale(NOPE, ROPE, 0, 1);
      double[] z = new double[position + 1];
      double exponentError = 0;
      for (int j = 0; j <= position; j++) {
        Bounded dot = Bounded.dot(query, keys[j][head]);
        z[j] = scale * dot.value;
        exponentError = Math.max(exponentError, scale * (2 * LATENT + 1) * dot.error);
      }
      double max = Arrays.stream(z).max().getAsDouble();
      double min = Arrays.stream(z).min().getAsDouble();
      double denominator = Arrays.stream(z).map(v -> Math.exp(v - max)).sum();
      double relative = exponentError + U * (max - min) + (position + 1 + 40) * U;
      Bounded[] result = new Bounded[VALUE];
      for (int c = 0; c < VALUE; c++) {
        double sum = 0;
        double magnitude = 0;
        double error = 0;
        for (int j = 0; j <= position; j++) {
          double weight = Math.exp(z[j] - max) / denominator;
          sum += weight * values[j][head][c].value;
          magnitude += weight * Math.abs(values[j][head][c].value);
          error += weight * values[j][head][c].error;
        }
        result[c] = new Bounded(sum, 2 * relative * magnitude + (2 * LATENT + 1) * error);
      }
      return result;
    }

    private Bounded[] norm(Bounded[] x, Tensor weight) {
      double squares = 0;
      double error = 0;
      for (Bounded v : x) {
        squares += v.value * v.value;
        error += 2 * Math.abs(v.value) * v.error;
      }
      double scale = 1 / Math.sqrt(squares / x.length + EPSILON);
      Bounded factor =
          new Bounded(
              scale,
              scale * (error / squares + 2 * U)); // twice the first-order term: 1 / sqrt halves it
      Bounded[] result = new Bounded[x.length];
      for (int i = 0; i < x.length; i++)
        result[i] = x[i].times(factor).times(new Bounded(weight.getFloat(i), 0));
      return result;
    }

    private Bounded[] turn(Bounded[] pair, int position) {
      Bounded cos = new Bounded(Math.cos(position), U);
      Bounded sin = new Bounded(Math.sin(position), U);
      Bounded minusSin = new Bounded(-Math.sin(position), U);
      return new Bounded[] {
        pair[0].times(cos).plus(pair[1].times(minusSin)),
        pair[1].times(cos).plus(pair[0].times(sin))
      };
    }

    private Bounded[] times(Tensor matrix, Bounded[] x) {
      Bounded[] result = new Bounded[(int) matrix.dim(0)];
      for (int row = 0; row < result.length; row++) {
        Bounded[] weight = new Bounded[x.length];
        for (int i = 0; i < x.length; i++)
          weight[i] = new Bounded(matrix.getFloat((long) row * x.length + i), 0);
        result[row] = Bounded.dot(weight, x);
      }
      return result;
    }

    private Bounded[] exactly(float[] values) {
      Bounded[] result = new Bounded[values.length];
      for (int i = 0; i < values.length; i++) result[i] = new Bounded(values[i], 0);
      return result;
    }

    private Bounded[] concat(Bounded[] a, Bounded[] b) {
      Bounded[] result = Arrays.copyOf(a, a.length + b.length);
      System.arraycopy(b, 0, result, a.length, b.length);
      return result;
    }

    private Tensor matrix(int rows, int columns) {
      float[] values = AttentionProblem.gaussian(random, rows * columns);
      for (int i = 0; i < values.length; i++) values[i] /= (float) Math.sqrt(columns);
      return keep(backend.of(values, rows, columns));
    }

    private Linear linear(Tensor weight) {
      return keep(new Linear(weight, null));
    }
  }
}
