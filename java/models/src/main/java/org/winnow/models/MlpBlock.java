package org.winnow.models;

import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.layer.FeedForward;

/**
 * What follows attention in a layer: a dense feed-forward block or a mixture of experts. Its
 * weights belong to {@link DecoderWeights} and the expert cache.
 */
interface MlpBlock {
  /**
   * @param input [numTokens, hiddenSize] f32, normalised
   * @param output of the same shape, overwritten
   */
  void run(Backend backend, Tensor input, Tensor output);

  /**
   * Begins to read the experts that this input would choose; changes nothing but when they are
   * read.
   */
  void readAhead(Backend backend, Tensor input);

  /** Logits of the last run's router, [numTokens, numExperts] f32, or null for a dense block. */
  Tensor routerLogits();

  /** A dense block: nothing to read ahead, no router. */
  record Dense(FeedForward feedForward) implements MlpBlock {
    @Override
    public void run(Backend backend, Tensor input, Tensor output) {
      feedForward.run(backend, input, output);
    }

    @Override
    public void readAhead(Backend backend, Tensor input) {}

    @Override
    public Tensor routerLogits() {
      return null;
    }
  }
}
