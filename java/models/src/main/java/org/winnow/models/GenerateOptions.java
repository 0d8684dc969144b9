package org.winnow.models;

import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The options of a generation. Immutable; start from {@link #greedy(int)} or {@link #sampling(int,
 * double, long)}.
 *
 * @param maxTokens limit on the number of new tokens, at least 0
 * @param temperature divides the logits; 0 chooses the largest logit
 * @param topK samples among the k most probable tokens; 0 for all
 * @param topP samples among the smallest set of most probable tokens whose probabilities sum to at
 *     least this; 1 for all
 * @param seed the same seed, prompt and model give the same tokens for every budget and number of
 *     threads
 * @param stopIds tokens that end the text and are not part of it; null for the stop tokens of the
 *     model's configuration
 * @param cancellation lets another thread end the generation, or null
 */
public record GenerateOptions(
    int maxTokens,
    double temperature,
    int topK,
    double topP,
    long seed,
    @Nullable Set<Integer> stopIds,
    @Nullable Cancellation cancellation) {
  /**
   * @throws IllegalArgumentException naming the option that is out of range
   */
  public GenerateOptions {
    if (maxTokens < 0)
      throw new IllegalArgumentException("maxTokens must not be negative, found " + maxTokens);
    if (!(temperature >= 0) || temperature == Double.POSITIVE_INFINITY) {
      throw new IllegalArgumentException(
          "temperature must be finite and not negative, found " + temperature);
    }
    if (topK < 0) throw new IllegalArgumentException("topK must not be negative, found " + topK);
    if (!(topP > 0 && topP <= 1))
      throw new IllegalArgumentException("topP must lie in (0, 1], found " + topP);
    stopIds = stopIds == null ? null : Set.copyOf(stopIds);
  }

  /** Always chooses the most probable token. */
  public static GenerateOptions greedy(int maxTokens) {
    return new GenerateOptions(maxTokens, 0, 0, 1, 0, null, null);
  }

  /** Samples from the whole distribution. */
  public static GenerateOptions sampling(int maxTokens, double temperature, long seed) {
    return new GenerateOptions(maxTokens, temperature, 0, 1, seed, null, null);
  }

  public GenerateOptions withTopK(int newTopK) {
    return new GenerateOptions(maxTokens, temperature, newTopK, topP, seed, stopIds, cancellation);
  }

  public GenerateOptions withTopP(double newTopP) {
    return new GenerateOptions(maxTokens, temperature, topK, newTopP, seed, stopIds, cancellation);
  }

  /**
   * Replaces the stop tokens of the model's configuration. With an empty set, no token ends the
   * text.
   */
  public GenerateOptions withStopIds(Set<Integer> newStopIds) {
    return new GenerateOptions(maxTokens, temperature, topK, topP, seed, newStopIds, cancellation);
  }

  public GenerateOptions withCancellation(Cancellation newCancellation) {
    return new GenerateOptions(maxTokens, temperature, topK, topP, seed, stopIds, newCancellation);
  }
}
