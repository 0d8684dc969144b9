package org.winnow.workload;

import java.util.Arrays;
import java.util.Random;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Float16;
import org.winnow.Tensor;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.KvCache;

/** Causal attention of the last tokens over a full cache. Appending to it is not part of a run. */
public final class AttentionWorkload extends Workload {
  private static final int NUM_CHECKED = 16;

  private final Backend backend;
  private final AttentionShape model;
  private final int numPositions;
  private final AttentionOptions options;
  private final float[] query; // [numTokens, numHeads, keyWidth]
  private final DType element;
  private final float[] keys; // [numPositions, numKvHeads, keyWidth]
  private final float[] values; // [numPositions, numKvHeads, valueWidth]; keys where latent
  private final Tensor queryTensor;
  private final KvCache cache;
  private final Tensor output;

  /**
   * Over a cache of f32.
   *
   * @param numPositions of the cache, the tokens' own among them
   */
  public AttentionWorkload(Backend backend, AttentionShape model, int numTokens, int numPositions) {
    this(backend, model, DType.F32, numTokens, numPositions);
  }

  /**
   * @param element of the cache: f32, bf16 or f16
   * @param numPositions of the cache, the tokens' own among them
   */
  public AttentionWorkload(
      Backend backend, AttentionShape model, DType element, int numTokens, int numPositions) {
    super("attention", "context " + numPositions, element, numTokens);
    this.backend = backend;
    this.element = element;
    this.model = model;
    this.numPositions = numPositions;
    options = AttentionOptions.causal((float) (1 / Math.sqrt(model.keyWidth())));
    queryTensor = keep(normal(1, numTokens, model.numHeads(), model.keyWidth()));
    query = queryTensor.toFloatArray();
    output = keep(backend.f32(numTokens, model.numHeads(), model.valueWidth()));
    if (model.isLatent()) {
      int latent = model.valueWidth();
      int rope = model.keyWidth() - latent;
      cache = keep(KvCache.ofLatents(backend.memory(), element, 1, latent, rope, numPositions));
      try (Tensor latents = normal(2, numPositions, 1, latent + rope)) {
        cache.append(backend, 0, cache.keys(), latents);
        keys = rounded(latents.toFloatArray(), element);
      }
      values = keys;
    } else {
      cache =
          keep(
              new KvCache(
                  backend.memory(),
                  element,
                  1,
                  model.numKvHeads(),
                  model.keyWidth(),
                  model.valueWidth(),
                  numPositions));
      try (Tensor k = normal(2, numPositions, model.numKvHeads(), model.keyWidth());
          Tensor v = normal(3, numPositions, model.numKvHeads(), model.valueWidth())) {
        cache.append(backend, 0, cache.keys(), k);
        cache.append(backend, 0, cache.values(), v);
        keys = rounded(k.toFloatArray(), element);
        values = rounded(v.toFloatArray(), element);
      }
    }
    cache.advance(numPositions);
  }

  /** The nearest values of a type, in place. */
  private static float[] rounded(float[] values, DType type) {
    for (int i = 0; i < values.length; i++) {
      values[i] =
          switch (type) {
            case BF16 -> Float16.fromBf16(Float16.toBf16(values[i]));
            case F16 -> Float16.fromF16(Float16.toF16(values[i]));
            default -> values[i];
          };
    }
    return values;
  }

  private Tensor normal(long seed, long... shape) {
    return NormalValues.fill(backend.f32(shape), new Random(seed), 1);
  }

  /** [numTokens, numHeads, keyWidth], for a baseline. Not copied. */
  public float[] query() {
    return query;
  }

  /** [numPositions, numKvHeads, keyWidth], for a baseline. Not copied. */
  public float[] keys() {
    return keys;
  }

  /**
   * [numPositions, numKvHeads, valueWidth], for a baseline; {@link #keys()} where the model is
   * latent. Not copied.
   */
  public float[] values() {
    return values;
  }

  /** The factor for products of queries and keys. */
  public float scale() {
    return options.scale();
  }

  @Override
  public void run() {
    Attention.run(
        backend, queryTensor, cache, 0, (long) numPositions - numTokens(), options, output);
  }

  @Override
  public Tensor output() {
    return output;
  }

  /** Checks random elements, and one of the last token. */
  @Override
  public void check() {
    Random random = new Random(1);
    for (int i = 0; i < NUM_CHECKED; i++) {
      int token = i == 0 ? numTokens() - 1 : random.nextInt(numTokens());
      int head = random.nextInt(model.numHeads());
      int column = random.nextInt(model.valueWidth());
      long at = ((long) token * model.numHeads() + head) * model.valueWidth() + column;
      requireNear(
          "column " + column + " of head " + head + " of token " + token,
          exact(token, head, column),
          output.getFloat(at));
    }
  }

  /** Computed in two passes over the keys that the token meets. */
  private Exact exact(int token, int head, int column) {
    int kvHead = head / (model.numHeads() / model.numKvHeads());
    int begin = (token * model.numHeads() + head) * model.keyWidth();
    float[] q = Arrays.copyOfRange(query, begin, begin + model.keyWidth());
    if (element == DType.BF16) rounded(q, element); // as the operation does
    double[] scores = new double[numPositions - numTokens() + token + 1];
    double max = Double.NEGATIVE_INFINITY;
    double min = Double.POSITIVE_INFINITY;
    double scoreDeviation = 0;
    for (int j = 0; j < scores.length; j++) {
      Exact product = Exact.dot(q, keys, (j * model.numKvHeads() + kvHead) * model.keyWidth());
      scores[j] = options.scale() * product.value();
      scoreDeviation = Math.max(scoreDeviation, options.scale() * product.deviation());
      max = Math.max(max, scores[j]);
      min = Math.min(min, scores[j]);
    }
    int valueStride = model.isLatent() ? model.keyWidth() : model.valueWidth();
    double mass = 0;
    double sum = 0;
    double magnitude = 0;
    for (int j = 0; j < scores.length; j++) {
      double weight = Math.exp(scores[j] - max);
      double value = values[(j * model.numKvHeads() + kvHead) * valueStride + column];
      mass += weight;
      sum += weight * value;
      magnitude += weight * Math.abs(value);
    }
    // With a cache of bf16 a weight is rounded to bf16. Else it is off by the error of its exponent
    // (the score's, and U |z - max| of the
    // subtraction) and by 4 U and a rounding for each exponential that touches it: its own, and one
    // rescaling per block of keys and per split. Sums add U per term of a block and per block. Both
    // sums of the quotient are off by that much. The quotient is rounded once.
    int blocks = scores.length / 64 + 2;
    int splits = scores.length / 512 + 2;
    double relative =
        (element == DType.BF16 ? 0x1p-9 : 0)
            + scoreDeviation
            + Exact.U * (max - min)
            + (4 + 1) * Exact.U * Math.sqrt(1 + blocks + splits)
            + Exact.U * Math.sqrt(64 + blocks + splits);
    return new Exact(sum / mass, (2 * relative + Exact.U) * magnitude / mass);
  }

  @Override
  public Work work() {
    return model.causal(element, numTokens(), numPositions);
  }

  @Override
  public Work denseWork() {
    return model.dense(element, numTokens(), numPositions);
  }
}
