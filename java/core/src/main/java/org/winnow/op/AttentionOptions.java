package org.winnow.op;

import org.jspecify.annotations.Nullable;
import org.winnow.Tensor;

/**
 * Parameters of one layer's attention, created once per layer.
 *
 * @param scale factor of query-key products, usually {@code 1 / sqrt(keyWidth)}
 * @param slidingWindow the largest number of keys that a token attends to, itself included; 0 for
 *     no window
 * @param sinks [numHeads] f32, one logit per head that is added to the softmax denominator only
 *     (gpt-oss), or null; the caller keeps and closes it
 */
public record AttentionOptions(float scale, int slidingWindow, @Nullable Tensor sinks) {
  /**
   * @throws IllegalArgumentException naming the value that is wrong
   */
  public AttentionOptions {
    if (!Float.isFinite(scale))
      throw new IllegalArgumentException("scale must be finite, found " + scale);
    if (slidingWindow < 0)
      throw new IllegalArgumentException(
          "slidingWindow must not be negative, found " + slidingWindow);
  }

  /** Full causal attention without sinks. */
  public static AttentionOptions causal(float scale) {
    return new AttentionOptions(scale, 0, null);
  }
}
