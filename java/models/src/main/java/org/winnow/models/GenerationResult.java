package org.winnow.models;

import org.jspecify.annotations.Nullable;
import org.winnow.memory.ExpertCounters;

/**
 * The result of a generation.
 *
 * @param ids the new tokens, without a stop id
 * @param text what the listener was given, in one text; empty without a tokenizer. Bytes of a
 *     character that the last token leaves incomplete are not in it: the session's next call shows
 *     the character
 * @param finishReason why the generation ended
 * @param promptTokens number of tokens that were computed before the first new one
 * @param prefillNanos time to compute those
 * @param decodeNanos time after that, including the listener's
 * @param experts the model's expert counters at the end, or null for a dense model; they also count
 *     the model's other generations
 */
public record GenerationResult(
    int[] ids,
    String text,
    FinishReason finishReason,
    int promptTokens,
    long prefillNanos,
    long decodeNanos,
    @Nullable ExpertCounters experts) {
  public GenerationResult {
    ids = ids.clone();
  }

  @Override
  public int[] ids() {
    return ids.clone();
  }

  /**
   * New tokens per second, not counting the first one, which the computation of the prompt
   * produces. 0 if there are fewer than two.
   */
  public double decodeTokensPerSecond() {
    return ids.length < 2 || decodeNanos == 0 ? 0 : (ids.length - 1) * 1e9 / decodeNanos;
  }

  /**
   * Whether the generation was cancelled before the whole prompt was computed and gave a first
   * token.
   */
  public boolean cancelledInPrompt() {
    return finishReason == FinishReason.CANCELLED && ids.length == 0;
  }

  /** Prompt tokens per second; 0 if there were none, or if not all of them were computed. */
  public double prefillTokensPerSecond() {
    return promptTokens == 0 || cancelledInPrompt() || prefillNanos == 0
        ? 0
        : promptTokens * 1e9 / prefillNanos;
  }
}
