package org.winnow.cli;

import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.KvCache;

/** Causal attention of the last tokens of a context, with Qwen3-30B-A3B's heads. */
final class BenchAttention implements BenchOperation {
  private static final int NUM_HEADS = 32;
  private static final int NUM_KV_HEADS = 4;
  private static final int HEAD_DIM = 128;

  private final Backend backend;
  private final int context;
  private final int tokens;
  private final Tensor query;
  private final Tensor keys;
  private final Tensor values;
  private final Tensor output;
  private final KvCache cache;
  private final AttentionOptions options =
      AttentionOptions.causal((float) (1 / Math.sqrt(HEAD_DIM)));

  BenchAttention(Backend backend, int context, int tokens) {
    this.backend = backend;
    this.context = context;
    this.tokens = tokens;
    query = random(new Random(1), tokens, NUM_HEADS);
    keys = random(new Random(2), context, NUM_KV_HEADS);
    values = random(new Random(3), context, NUM_KV_HEADS);
    output = Tensor.f32(tokens, NUM_HEADS, HEAD_DIM);
    cache = new KvCache(1, NUM_KV_HEADS, HEAD_DIM, HEAD_DIM, context);
    cache.append(backend, 0, keys, values);
    cache.advance(context);
  }

  private static Tensor random(Random random, int rows, int heads) {
    Tensor tensor = Tensor.f32(rows, heads, HEAD_DIM);
    for (long i = 0; i < tensor.size(); i++) tensor.setFloat(i, (float) random.nextGaussian());
    return tensor;
  }

  @Override
  public Work run() {
    Attention.run(backend, query, cache, 0, context - tokens, options, output);
    double pairs = (double) tokens * (context - tokens) + tokens * (tokens + 1.0) / 2;
    return new Work(
        (double) keys.sizeBytes() + values.sizeBytes(), 4.0 * NUM_HEADS * HEAD_DIM * pairs);
  }

  /** The last token's last head, in double precision. */
  @Override
  public @Nullable String check() {
    int head = NUM_HEADS - 1;
    int kvHead = head / (NUM_HEADS / NUM_KV_HEADS);
    double[] scores = new double[context];
    double largest = Double.NEGATIVE_INFINITY;
    for (int j = 0; j < context; j++) {
      for (int i = 0; i < HEAD_DIM; i++)
        scores[j] +=
            (double) query.getFloat(at(tokens - 1, NUM_HEADS, head) + i)
                * keys.getFloat(at(j, NUM_KV_HEADS, kvHead) + i);
      scores[j] *= options.scale();
      largest = Math.max(largest, scores[j]);
    }
    for (int i = 0; i < HEAD_DIM; i++) {
      double sum = 0;
      double mass = 0;
      double magnitude = 0;
      for (int j = 0; j < context; j++) {
        double weight = Math.exp(scores[j] - largest);
        double value = values.getFloat(at(j, NUM_KV_HEADS, kvHead) + i);
        mass += weight;
        sum += weight * value;
        magnitude += weight * Math.abs(value);
      }
      double found = output.getFloat(at(tokens - 1, NUM_HEADS, head) + i);
      if (!(Math.abs(found - sum / mass) <= (context + HEAD_DIM) * 0x1p-24 * magnitude / mass)) {
        return "element "
            + i
            + " of the last token's last head: expected "
            + sum / mass
            + ", found "
            + found;
      }
    }
    return null;
  }

  private static long at(int row, int heads, int head) {
    return ((long) row * heads + head) * HEAD_DIM;
  }

  @Override
  public DType type() {
    return DType.F32;
  }

  @Override
  public String operation() {
    return "attention";
  }

  @Override
  public String shape() {
    return "context " + context;
  }

  @Override
  public int tokens() {
    return tokens;
  }

  @Override
  public void close() {
    cache.close();
    query.close();
    keys.close();
    values.close();
    output.close();
  }
}
