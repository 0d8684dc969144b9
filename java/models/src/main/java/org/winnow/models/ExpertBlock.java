package org.winnow.models;

import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.moe.MoeLayer;
import org.winnow.op.Routing;

/** A mixture of experts in a decoder. */
final class ExpertBlock implements MlpBlock {
  private final MoeLayer layer;
  private final Routing guess;
  private final int[] hints;

  /**
   * @param layer open for as long as this is used
   * @param guess receives the experts that {@link #readAhead} predicts; open for as long as this is
   *     used
   */
  ExpertBlock(MoeLayer layer, Routing guess) {
    this.layer = layer;
    this.guess = guess;
    this.hints = new int[layer.experts().numExperts()];
  }

  @Override
  public void run(Backend backend, Tensor input, Tensor output) {
    layer.forward(backend, input, output);
  }

  /**
   * Whether the layer can be captured. This method and the next six call the method of the same
   * name in {@link MoeLayer}.
   */
  boolean canCapture() {
    return layer.canCapture();
  }

  boolean needsHost() {
    return layer.needsHost();
  }

  void prepareCapture() {
    layer.prepareCapture();
  }

  void choose(Backend backend, Tensor input) {
    layer.choose(backend, input);
  }

  boolean hold() {
    return layer.hold();
  }

  void computeHeld(Backend backend, Tensor input, Tensor output) {
    layer.computeHeld(backend, input, output);
  }

  void release() {
    layer.release();
  }

  @Override
  public void readAhead(Backend backend, Tensor input) {
    layer.route(backend, input, guess);
    int numHints = guess.distinctExperts(hints);
    layer.experts().hint(hints, numHints);
  }

  @Override
  public @Nullable Tensor routerLogits() {
    return layer.routerLogits();
  }
}
