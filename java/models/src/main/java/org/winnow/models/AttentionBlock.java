package org.winnow.models;

import org.winnow.Tensor;

/**
 * The attention of one layer: projections, rotary embedding, key-value cache and output projection.
 * Its weights belong to {@link DecoderWeights}.
 */
interface AttentionBlock extends AutoCloseable {
  /**
   * @param input [numTokens, hiddenSize] f32, normalised
   * @param output of the same shape, overwritten
   */
  void run(Step step, Tensor input, Tensor output);

  @Override
  void close();
}
