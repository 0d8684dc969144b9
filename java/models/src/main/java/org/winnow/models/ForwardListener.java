package org.winnow.models;

import org.winnow.Tensor;

/**
 * Receives what a forward pass computes, for comparisons with a reference. It is called on the
 * thread that computes. The tensors are views of working memory: they are valid until the method
 * returns and must not be written. A long input arrives in chunks of consecutive positions.
 */
public interface ForwardListener {
  /** Ignores everything. */
  ForwardListener NONE = new ForwardListener() {};

  /**
   * The residual stream.
   *
   * @param layer number of layers computed so far: 0 after the embedding. The last value, the
   *     number of all layers, is reported after the final norm
   * @param firstPosition position of row 0
   * @param hidden [numTokens, hiddenSize] f32
   */
  default void onHidden(int layer, int firstPosition, Tensor hidden) {}

  /**
   * The router logits of a mixture-of-experts layer, before any expert is chosen.
   *
   * @param layer index of the layer, from 0
   * @param firstPosition position of row 0
   * @param routerLogits [numTokens, numExperts] f32
   */
  default void onRouterLogits(int layer, int firstPosition, Tensor routerLogits) {}

  /**
   * The logits of the next token.
   *
   * @param firstPosition position of row 0
   * @param logits [numRows, vocabularySize] f32
   */
  default void onLogits(int firstPosition, Tensor logits) {}
}
