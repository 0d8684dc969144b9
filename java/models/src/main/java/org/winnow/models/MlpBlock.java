package org.winnow.models;

import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.layer.FeedForward;

/**
 * The part of a layer after attention: a dense feed-forward block or a mixture of experts. Its
 * weights belong to {@link DecoderWeights} and the expert cache.
 */
interface MlpBlock {
  /**
   * @param input [numTokens, hiddenSize] f32, normalised
   * @param output of the same shape, overwritten
   */
  void run(Backend backend, Tensor input, Tensor output);

  /**
   * Starts to read the experts that this input would choose. Results do not change, only the time
   * at which experts are read.
   */
  void readAhead(Backend backend, Tensor input);

  /** Router logits of the last run, [numTokens, numExperts] f32, or null for a dense block. */
  @Nullable Tensor routerLogits();

  /** A dense block, which has no router and nothing to read ahead. */
  record Dense(FeedForward feedForward) implements MlpBlock {
    @Override
    public void run(Backend backend, Tensor input, Tensor output) {
      feedForward.run(backend, input, output);
    }

    @Override
    public void readAhead(Backend backend, Tensor input) {}

    @Override
    public @Nullable Tensor routerLogits() {
      return null;
    }
  }
}
