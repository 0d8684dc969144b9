package org.winnow.models;

import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.op.SamplerOptions;

/**
 * The options of a generation. Immutable; start from {@link #greedy(int)}, from {@link
 * #sampling(int, double, long)} or from what the checkpoint recommends, {@link
 * GenerationDefaults#options(long)}.
 *
 * @param maxTokens limit on the number of new tokens, at least 0; {@link #FILL_CONTEXT} for as many
 *     as the context has room for
 * @param sampler the rule that chooses each token
 * @param seed the same seed, prompt and model give the same tokens for every budget and number of
 *     threads
 * @param stopIds tokens that end the text and are not part of it; null for the stop tokens of the
 *     model's configuration
 * @param stopTexts texts that end the generation as soon as the text of the new tokens contains one
 *     of them. The text ends before it, also the text that the listener receives. They need a
 *     tokenizer
 * @param logprobs how many of the most probable tokens are told to the listener with their log
 *     probabilities, beside the chosen one; at most the vocabulary; {@link #NO_LOGPROBS} computes
 *     none
 * @param cancellation lets another thread end the generation, or null
 */
public record GenerateOptions(
    int maxTokens,
    SamplerOptions sampler,
    long seed,
    @Nullable Set<Integer> stopIds,
    List<String> stopTexts,
    int logprobs,
    @Nullable Cancellation cancellation) {
  /** The value of {@code maxTokens} that fills what is left of the context. */
  public static final int FILL_CONTEXT = Integer.MAX_VALUE;

  /** The value of {@code logprobs} that computes none, the default. */
  public static final int NO_LOGPROBS = -1;

  /**
   * @throws IllegalArgumentException naming the option that is out of range
   */
  public GenerateOptions {
    if (maxTokens < 0)
      throw new IllegalArgumentException("maxTokens must not be negative, found " + maxTokens);
    if (logprobs < NO_LOGPROBS)
      throw new IllegalArgumentException("logprobs must be -1 or more, found " + logprobs);
    stopIds = stopIds == null ? null : Set.copyOf(stopIds);
    stopTexts = List.copyOf(stopTexts);
    if (stopTexts.contains(""))
      throw new IllegalArgumentException(
          "stopTexts must not hold an empty text, found " + stopTexts);
  }

  /** Always chooses the most probable token. */
  public static GenerateOptions greedy(int maxTokens) {
    return of(maxTokens, SamplerOptions.greedy(), 0);
  }

  /** Samples from the whole distribution. */
  public static GenerateOptions sampling(int maxTokens, double temperature, long seed) {
    return of(maxTokens, SamplerOptions.ofTemperature(temperature), seed);
  }

  static GenerateOptions of(int maxTokens, SamplerOptions sampler, long seed) {
    return new GenerateOptions(maxTokens, sampler, seed, null, List.of(), NO_LOGPROBS, null);
  }

  public GenerateOptions withMaxTokens(int newMaxTokens) {
    return new GenerateOptions(
        newMaxTokens, sampler, seed, stopIds, stopTexts, logprobs, cancellation);
  }

  public GenerateOptions withSampler(SamplerOptions newSampler) {
    return new GenerateOptions(
        maxTokens, newSampler, seed, stopIds, stopTexts, logprobs, cancellation);
  }

  public GenerateOptions withTopK(int topK) {
    return withSampler(sampler.withTopK(topK));
  }

  public GenerateOptions withTopP(double topP) {
    return withSampler(sampler.withTopP(topP));
  }

  public GenerateOptions withMinP(double minP) {
    return withSampler(sampler.withMinP(minP));
  }

  /** Tokens that the session holds already become less probable, those of the prompt too. */
  public GenerateOptions withRepetitionPenalty(double repetitionPenalty) {
    return withSampler(sampler.withRepetitionPenalty(repetitionPenalty));
  }

  public GenerateOptions withSeed(long newSeed) {
    return new GenerateOptions(
        maxTokens, sampler, newSeed, stopIds, stopTexts, logprobs, cancellation);
  }

  /**
   * Replaces the stop tokens of the model's configuration. With an empty set, no token ends the
   * text.
   */
  public GenerateOptions withStopIds(Set<Integer> newStopIds) {
    return new GenerateOptions(
        maxTokens, sampler, seed, newStopIds, stopTexts, logprobs, cancellation);
  }

  public GenerateOptions withStopTexts(List<String> newStopTexts) {
    return new GenerateOptions(
        maxTokens, sampler, seed, stopIds, newStopTexts, logprobs, cancellation);
  }

  /**
   * @param newLogprobs number of most probable tokens, 0 or more, or {@link #NO_LOGPROBS}
   */
  public GenerateOptions withLogprobs(int newLogprobs) {
    return new GenerateOptions(
        maxTokens, sampler, seed, stopIds, stopTexts, newLogprobs, cancellation);
  }

  public GenerateOptions withCancellation(Cancellation newCancellation) {
    return new GenerateOptions(
        maxTokens, sampler, seed, stopIds, stopTexts, logprobs, newCancellation);
  }
}
