package org.winnow.models;

import org.winnow.Tensor;

/**
 * Sees what a forward pass computes, on the thread that computes it; for comparisons with a
 * reference. The tensors are views of working memory: valid until the method returns, and only to
 * be read. A long input arrives in chunks of consecutive positions.
 */
public interface ForwardListener {
  /** Looks at nothing. */
  ForwardListener NONE = new ForwardListener() {};

  /**
   * The residual stream.
   *
   * @param layer 0 after the embedding, {@code i} after layer {@code i}; the last one after the
   *     final norm
   * @param firstPosition position of row 0
   * @param hidden [numTokens, hiddenSize] f32
   */
  default void onHidden(int layer, int firstPosition, Tensor hidden) {}

  /**
   * What the router of a mixture-of-experts layer said of each expert, before any selection.
   *
   * @param layer the layer, from 0
   * @param firstPosition position of row 0
   * @param routerLogits [numTokens, numExperts] f32
   */
  default void onRouterLogits(int layer, int firstPosition, Tensor routerLogits) {}

  /**
   * @param firstPosition position of row 0
   * @param logits [numRows, vocabularySize] f32
   */
  default void onLogits(int firstPosition, Tensor logits) {}
}
