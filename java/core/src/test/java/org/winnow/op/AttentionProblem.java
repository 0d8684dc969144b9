package org.winnow.op;

import java.util.Random;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;

/**
 * Inputs of attention and the exact answer for one element, in double precision, two passes over
 * the keys of one token.
 */
public final class AttentionProblem implements AutoCloseable {
  /**
   * The sizes. The last {@code numTokens} of {@code numPositions} are the queries.
   *
   * @param element what the cache holds
   * @param latent whether values are the first elements of keys
   */
  public record Shape(
      int numTokens,
      int numPositions,
      int numHeads,
      int numKvHeads,
      int keyWidth,
      int valueWidth,
      DType element,
      boolean latent) {
    public Shape(
        int numTokens,
        int numPositions,
        int numHeads,
        int numKvHeads,
        int keyWidth,
        int valueWidth) {
      this(numTokens, numPositions, numHeads, numKvHeads, keyWidth, valueWidth, DType.F32, false);
    }

    /** The same with another element. */
    public Shape of(DType newElement) {
      return new Shape(
          numTokens, numPositions, numHeads, numKvHeads, keyWidth, valueWidth, newElement, latent);
    }

    /** The same with values that are the first elements of keys. */
    public Shape latents() {
      return new Shape(numTokens, numPositions, numHeads, 1, keyWidth, valueWidth, element, true);
    }
  }

  /** An exact value and how far f32 arithmetic may be from it. */
  public record Exact(double value, double bound) {}

  private static final double U = 0x1p-24;

  private final Backend backend;
  private final Shape shape;
  private final AttentionOptions options;
  private final float[] query;
  private final float[] exactQuery; // rounded as the cache's element wants it
  private final float[] keys;
  private final float[] values;
  private final float[] sinkLogits;
  private final KvCache cache;
  private final Tensor output;

  public AttentionProblem(
      Backend backend,
      Shape shape,
      float scale,
      int slidingWindow,
      float[] query,
      float[] keys,
      float[] values,
      float[] sinkLogits) {
    this.backend = backend;
    this.shape = shape;
    DType element = shape.element();
    this.query = query;
    this.keys = rounded(keys, element);
    this.values = shape.latent() ? firstColumns(this.keys, shape) : rounded(values, element);
    exactQuery = element == DType.BF16 ? rounded(query, element) : query;
    this.sinkLogits = sinkLogits;
    options =
        new AttentionOptions(
            scale,
            slidingWindow,
            sinkLogits == null ? null : backend.of(sinkLogits, shape.numHeads()));
    cache =
        shape.latent()
            ? KvCache.ofLatents(
                backend.memory(),
                element,
                1,
                shape.valueWidth(),
                shape.keyWidth() - shape.valueWidth(),
                shape.numPositions())
            : new KvCache(
                backend.memory(),
                element,
                1,
                shape.numKvHeads(),
                shape.keyWidth(),
                shape.valueWidth(),
                shape.numPositions());
    output = backend.f32(shape.numTokens(), shape.numHeads(), shape.valueWidth());
  }

  /** Normally distributed values, with sinks if requested. */
  public static AttentionProblem random(
      Backend backend, Random random, Shape shape, int slidingWindow, boolean sinks) {
    float[] query = gaussian(random, shape.numTokens() * shape.numHeads() * shape.keyWidth());
    float[] keys = gaussian(random, shape.numPositions() * shape.numKvHeads() * shape.keyWidth());
    float[] values =
        gaussian(random, shape.numPositions() * shape.numKvHeads() * shape.valueWidth());
    float scale = (float) (1 / Math.sqrt(shape.keyWidth()));
    return new AttentionProblem(
        backend,
        shape,
        scale,
        slidingWindow,
        query,
        keys,
        values,
        sinks ? gaussian(random, shape.numHeads()) : null);
  }

  public static float[] gaussian(Random random, int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = (float) random.nextGaussian();
    return values;
  }

  private static float[] firstColumns(float[] keys, Shape shape) {
    float[] values = new float[shape.numPositions() * shape.valueWidth()];
    for (int p = 0; p < shape.numPositions(); p++)
      System.arraycopy(
          keys, p * shape.keyWidth(), values, p * shape.valueWidth(), shape.valueWidth());
    return values;
  }

  /** The values of an element type that are nearest, to even. */
  public static float[] rounded(float[] values, DType element) {
    float[] result = values.clone();
    for (int i = 0; i < result.length; i++) result[i] = rounded(result[i], element);
    return result;
  }

  /** The value of an element type that is nearest, to even, in double precision. */
  public static float rounded(float value, DType element) {
    if (element == DType.F32 || !Float.isFinite(value)) return value;
    boolean bf16 = element == DType.BF16;
    int exponent = Math.max(Math.getExponent(value), bf16 ? -126 : -14);
    double ulp = Math.scalb(1.0, exponent - (bf16 ? 7 : 10));
    double result = Math.rint(value / ulp) * ulp; // rint: to even
    boolean isTooLarge = !bf16 && Math.abs(result) > 65504;
    return isTooLarge ? Math.copySign(Float.POSITIVE_INFINITY, value) : (float) result;
  }

  /** What the cache holds as values. */
  public float[] values() {
    return values;
  }

  /** Writes all keys and values into the cache, whose pages hold NaN before. */
  public AttentionProblem fillCache() {
    cache.reserve(shape.numPositions());
    for (int page = 0; page * KvCache.PAGE_TOKENS < shape.numPositions(); page++)
      cache.pages().page(0, page).fill(Float.NaN);
    try (Tensor k = backend.of(keys, shape.numPositions(), shape.numKvHeads(), shape.keyWidth());
        Tensor v =
            backend.of(values, shape.numPositions(), shape.numKvHeads(), shape.valueWidth())) {
      cache.append(backend, 0, cache.keys(), k);
      if (!shape.latent()) cache.append(backend, 0, cache.values(), v);
    }
    return this;
  }

  /** Runs all queries in one call, over an output that was NaN. */
  public float[] run() {
    return run(backend);
  }

  /** The same on another backend of the same memory. */
  public float[] run(Backend other) {
    return run(other, shape.numTokens());
  }

  /** Runs the queries in calls of so many tokens. */
  public float[] run(Backend other, int tokensPerCall) {
    output.fill(Float.NaN);
    try (Tensor q = backend.of(query, shape.numTokens(), shape.numHeads(), shape.keyWidth())) {
      for (int t = 0; t < shape.numTokens(); t += tokensPerCall) {
        int end = Math.min(t + tokensPerCall, shape.numTokens());
        Attention.run(
            other, q.slice(t, end), cache, 0, firstPosition() + t, options, output.slice(t, end));
      }
    }
    return output.toFloatArray();
  }

  public Shape shape() {
    return shape;
  }

  public KvCache cache() {
    return cache;
  }

  public AttentionOptions options() {
    return options;
  }

  public Tensor output() {
    return output;
  }

  public int firstPosition() {
    return shape.numPositions() - shape.numTokens();
  }

  public Exact exact(int token, int head, int column) {
    int position = firstPosition() + token;
    int begin =
        options.slidingWindow() == 0 ? 0 : Math.max(0, position - options.slidingWindow() + 1);
    int kvHead = head * shape.numKvHeads() / shape.numHeads();
    double max = sinkLogits == null ? Double.NEGATIVE_INFINITY : sinkLogits[head];
    double min = max == Double.NEGATIVE_INFINITY ? Double.POSITIVE_INFINITY : max;
    double productError = 0;
    double[] z = new double[position + 1 - begin];
    for (int j = position; j >= begin; j--) {
      double dot = 0;
      double magnitude = 0;
      for (int d = 0; d < shape.keyWidth(); d++) {
        double product =
            (double) exactQuery[(token * shape.numHeads() + head) * shape.keyWidth() + d]
                * keys[(j * shape.numKvHeads() + kvHead) * shape.keyWidth() + d];
        dot += product;
        magnitude += Math.abs(product);
      }
      z[j - begin] = options.scale() * dot;
      max = Math.max(max, z[j - begin]);
      min = Math.min(min, z[j - begin]);
      productError =
          Math.max(
              productError, (shape.keyWidth() + 1) * U * Math.abs(options.scale()) * magnitude);
    }
    double denominator = sinkLogits == null ? 0 : Math.exp(sinkLogits[head] - max);
    double numerator = 0;
    double magnitude = 0;
    for (int j = position; j >= begin; j--) {
      double weight = Math.exp(z[j - begin] - max);
      double value = values[(j * shape.numKvHeads() + kvHead) * shape.valueWidth() + column];
      denominator += weight;
      numerator += weight * value;
      magnitude += weight * Math.abs(value);
    }
    // A weight is off by the error of its exponent (the product's, plus u |z - max| from the
    // subtraction) and by 4 u for each exponential that
    // touches it: its own and one rescaling per key block and split. Sums add u per term of a block
    // and per block. Both sums of the quotient
    // are off by that much; the quotient is rounded once.
    int blocks = z.length / 64 + 2;
    int splits = z.length / 512 + 2;
    double relative =
        productError
            + U * (max - min)
            + (4 + 1) * U * (1 + blocks + splits)
            + (64 + blocks + splits) * U;
    // Weights that are rounded to bf16 are off by half an ulp.
    if (shape.element() == DType.BF16) relative += 0x1.01p-9;
    return new Exact(
        numerator / denominator, (2 * relative + U) * magnitude / denominator + Float.MIN_NORMAL);
  }

  /** Fails unless every checked element is within its bound. */
  public void check(float[] result, int tokenStep, int columnStep) {
    for (int t = 0; t < shape.numTokens(); t += tokenStep) {
      for (int h = 0; h < shape.numHeads(); h++) {
        for (int c = h % columnStep; c < shape.valueWidth(); c += columnStep) {
          Exact exact = exact(t, h, c);
          float found = result[(t * shape.numHeads() + h) * shape.valueWidth() + c];
          if (!(Math.abs(found - exact.value()) <= exact.bound())) {
            throw new AssertionError(
                "token "
                    + t
                    + ", head "
                    + h
                    + ", column "
                    + c
                    + ": expected "
                    + exact
                    + ", found "
                    + found);
          }
        }
      }
    }
  }

  @Override
  public void close() {
    cache.close();
    output.close();
    if (options.sinks() != null) options.sinks().close();
  }
}
