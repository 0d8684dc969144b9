package org.winnow.op;

/**
 * The rule by which a {@link Sampler} chooses among the tokens. Immutable; start from {@link
 * #greedy()} or {@link #ofTemperature(double)}.
 *
 * <p>The steps apply in this order, which is that of Hugging Face transformers 5: repetition
 * penalty, temperature, top-k, top-p, min-p. At temperature 0 only the first one has an effect.
 *
 * @param temperature divides the logits; 0 chooses the largest logit
 * @param topK keeps the k most probable tokens; 0 for all
 * @param topP keeps the fewest most probable tokens that hold at least this share of the
 *     probability of those that top-k has kept (Holtzman et al. 2019, arXiv:1904.09751); 1 for all
 * @param minP keeps the tokens that are at least this times as probable as the most probable one
 *     (Nguyen et al. 2024, arXiv:2407.01082); 0 for all
 * @param repetitionPenalty divides the positive logits, and multiplies the negative ones, of all
 *     tokens that the sequence holds already, prompt included (Keskar et al. 2019,
 *     arXiv:1909.05858); more than 1 makes them less probable; 1 for no penalty
 */
public record SamplerOptions(
    double temperature, int topK, double topP, double minP, double repetitionPenalty) {
  /**
   * @throws IllegalArgumentException naming the value that is out of range
   */
  public SamplerOptions {
    if (!(temperature >= 0) || temperature == Double.POSITIVE_INFINITY)
      throw new IllegalArgumentException(
          "temperature must be finite and not negative, found " + temperature);
    if (topK < 0) throw new IllegalArgumentException("topK must not be negative, found " + topK);
    if (!(topP > 0 && topP <= 1))
      throw new IllegalArgumentException("topP must lie in (0, 1], found " + topP);
    if (!(minP >= 0 && minP <= 1))
      throw new IllegalArgumentException("minP must lie in [0, 1], found " + minP);
    // in f32, as it is applied: neither 0 nor infinite
    float penalty = (float) repetitionPenalty;
    if (!(penalty > 0) || penalty == Float.POSITIVE_INFINITY)
      throw new IllegalArgumentException(
          "repetitionPenalty must be finite and more than 0, found " + repetitionPenalty);
  }

  /** Always chooses the most probable token. */
  public static SamplerOptions greedy() {
    return new SamplerOptions(0, 0, 1, 0, 1);
  }

  /** Draws from the whole distribution. */
  public static SamplerOptions ofTemperature(double temperature) {
    return new SamplerOptions(temperature, 0, 1, 0, 1);
  }

  public SamplerOptions withTemperature(double newTemperature) {
    return new SamplerOptions(newTemperature, topK, topP, minP, repetitionPenalty);
  }

  public SamplerOptions withTopK(int newTopK) {
    return new SamplerOptions(temperature, newTopK, topP, minP, repetitionPenalty);
  }

  public SamplerOptions withTopP(double newTopP) {
    return new SamplerOptions(temperature, topK, newTopP, minP, repetitionPenalty);
  }

  public SamplerOptions withMinP(double newMinP) {
    return new SamplerOptions(temperature, topK, topP, newMinP, repetitionPenalty);
  }

  public SamplerOptions withRepetitionPenalty(double newRepetitionPenalty) {
    return new SamplerOptions(temperature, topK, topP, minP, newRepetitionPenalty);
  }

  /** Whether the tokens of the sequence have an effect on the choice. */
  public boolean penalises() {
    return repetitionPenalty != 1;
  }
}
