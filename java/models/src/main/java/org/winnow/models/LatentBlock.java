package org.winnow.models;

import org.winnow.Tensor;
import org.winnow.attention.MlaAttention;
import org.winnow.attention.MlaWorkspace;
import org.winnow.op.Rope;

/**
 * Multi-head latent attention in its absorbed form, for prompts too: one form, so that results do
 * not depend on how a prompt is cut into steps.
 */
final class LatentBlock implements AttentionBlock {
  private final MlaAttention attention;
  private final int layer;
  private final MlaWorkspace workspace;

  /**
   * @param workspace one for all layers of a decoder
   */
  LatentBlock(
      DecoderSpec.LatentAttention spec,
      int layer,
      float epsilon,
      DecoderWeights weights,
      MlaWorkspace workspace) {
    this.layer = layer;
    this.workspace = workspace;
    attention =
        new MlaAttention(
            new MlaAttention.Geometry(
                spec.numHeads(),
                spec.nopeDim(),
                spec.ropeDim(),
                spec.valueDim(),
                spec.scale(),
                epsilon,
                spec.interleavedRope() ? Rope.Layout.INTERLEAVED : Rope.Layout.HALF_SPLIT),
            new MlaAttention.Weights(
                weights.linear(spec.queryDown()),
                spec.queryNorm() == null ? null : weights.get(spec.queryNorm().name()),
                weights.linear(spec.queryUp()),
                weights.linear(spec.latentDown()),
                weights.get(spec.latentNorm().name()),
                weights.get(spec.latentUp().weight()),
                weights.linear(spec.output())));
  }

  @Override
  public void run(Step step, Tensor input, Tensor output) {
    attention.run(
        step.backend(),
        input,
        step.cache(),
        layer,
        step.cos(),
        step.sin(),
        workspace,
        output);
  }

  @Override
  public void close() {
    attention.close();
  }
}
