package org.winnow.cli;

import org.winnow.Tensor;

/** Cases of {@code sparse_output_layer}: a multiplicative layer as wide as a vocabulary. */
final class SparseOutputLayerCheck implements OperationCheck {
  @Override
  public void run(OperationCase given) {
    int vocabulary = given.count("vocabulary");
    int modules = given.count("modules");
    if (vocabulary % modules != 0)
      throw given.fault(
          "__metadata__: vocabulary",
          "a multiple of " + modules + " modules",
          Integer.toString(vocabulary));
    Tensor logits = MultiplicativeLayerCheck.run(given, vocabulary / modules);
    float[] found = logits.toFloatArray();
    given.judge("logits", found, logits.shape());
    if (!given.holds("expected.argmax")) return;
    int[] best = new int[(int) logits.dim(0)];
    for (int row = 0; row < best.length; row++) best[row] = best(found, row, vocabulary);
    given.judge("argmax", best, best.length);
  }

  /** The larger value first, then the smaller index. */
  private static int best(float[] logits, int row, int vocabulary) {
    int best = 0;
    for (int i = 1; i < vocabulary; i++)
      if (logits[row * vocabulary + i] > logits[row * vocabulary + best]) best = i;
    return best;
  }
}
