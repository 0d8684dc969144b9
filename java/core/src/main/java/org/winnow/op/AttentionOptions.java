package org.winnow.op;

import org.winnow.Tensor;

/**
 * What one layer's attention does; made once per layer.
 *
 * @param scale what query-key products are multiplied by, usually {@code 1 / sqrt(keyWidth)}
 * @param slidingWindow the most keys that a token attends to, itself included; 0 for no window
 * @param sinks [numHeads] f32, one logit per head that joins the denominator only (gpt-oss), or
 *     null; stays the caller's
 */
public record AttentionOptions(float scale, int slidingWindow, Tensor sinks) {
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
