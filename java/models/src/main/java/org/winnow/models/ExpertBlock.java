package org.winnow.models;

import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.layer.FeedForward;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.Routing;

/** A mixture of experts in a decoder. */
final class ExpertBlock implements MlpBlock {
  private final MoeLayer layer;
  private final FeedForward shared; // or null
  private final Routing guess = new Routing();

  ExpertBlock(MoeLayer layer, FeedForward shared) {
    this.layer = layer;
    this.shared = shared;
  }

  @Override
  public void run(Backend backend, Tensor input, Tensor output) {
    layer.forward(backend, input, output);
  }

  @Override
  public void readAhead(Backend backend, Tensor input) {
    layer.route(backend, input, guess);
    int[] offsets = guess.tokenOffsets().toIntArray();
    int[] ids = guess.expertIds().toIntArray();
    int[] hints = new int[layer.experts().numExperts()];
    boolean[] hinted = new boolean[hints.length];
    int numHints = 0;
    int left = guess.numRows();
    for (int slot = 0; left > 0; slot++) { // every token's best expert first
      for (int token = 0; token < guess.numTokens(); token++) {
        if (offsets[token] + slot >= offsets[token + 1]) continue;
        int expert = ids[offsets[token] + slot];
        if (!hinted[expert]) hints[numHints++] = expert;
        hinted[expert] = true;
        left--;
      }
    }
    layer.experts().hint(hints, numHints);
  }

  @Override
  public Tensor routerLogits() {
    return layer.routerLogits();
  }

  @Override
  public void close() {
    guess.close();
    layer.close();
    if (shared != null) shared.close();
  }
}
