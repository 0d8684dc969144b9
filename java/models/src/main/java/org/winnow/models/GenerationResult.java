package org.winnow.models;

import org.winnow.memory.ExpertCounters;

/**
 * What a generation made.
 *
 * @param ids the new tokens; a stop id is not among them
 * @param text their text; empty without a tokenizer
 * @param finishReason why it ended
 * @param promptTokens tokens that had to be read before the first new one
 * @param prefillNanos time for these
 * @param decodeNanos time from then on, the listener's included
 * @param experts the model's expert counters at the end, or null for a dense model; other
 *     generations of the model count in them as well
 */
public record GenerationResult(
    int[] ids,
    String text,
    FinishReason finishReason,
    int promptTokens,
    long prefillNanos,
    long decodeNanos,
    ExpertCounters experts) {
  public GenerationResult {
    ids = ids.clone();
  }

  @Override
  public int[] ids() {
    return ids.clone();
  }

  /**
   * New tokens per second after the first, which the prompt's pass has made; 0 if there are fewer
   * than two.
   */
  public double decodeTokensPerSecond() {
    return ids.length < 2 || decodeNanos == 0 ? 0 : (ids.length - 1) * 1e9 / decodeNanos;
  }

  /** Whether it was cancelled before the whole prompt was read, which makes the first token. */
  public boolean cancelledInPrompt() {
    return finishReason == FinishReason.CANCELLED && ids.length == 0;
  }

  /** Prompt tokens per second; 0 if there was none, or not all of it was read. */
  public double prefillTokensPerSecond() {
    return promptTokens == 0 || cancelledInPrompt() || prefillNanos == 0
        ? 0
        : promptTokens * 1e9 / prefillNanos;
  }
}
