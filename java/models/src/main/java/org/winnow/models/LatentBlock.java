package org.winnow.models;

import org.winnow.Tensor;
import org.winnow.attention.MlaAttention;
import org.winnow.attention.MlaWorkspace;
import org.winnow.op.Rope;

/**
 * Multi-head latent attention in its absorbed form. Prompts use this form too, so that results do
 * not depend on how a prompt is divided into steps.
 */
final class LatentBlock implements AttentionBlock {
  private final MlaAttention attention;
  private final int layer;
  private final MlaWorkspace workspace;

  /**
   * @param workspace shared by all layers of a decoder
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
                weights.linearOrNull(spec.queryDown()),
                weights.norm(spec.queryNorm()),
                weights.linear(spec.queryUp()),
                weights.linear(spec.latentDown()),
                weights.get(spec.latentNorm().name()),
                weights.get(spec.latentUp().weight()),
                weights.linear(spec.output()),
                weights.activations()));
  }

  @Override
  public void run(Step step, Tensor input, Tensor output) {
    attention.run(
        step.backend(), input, step.cache(), layer, step.cos(), step.sin(), workspace, output);
  }

  @Override
  public void close() {
    attention.close();
  }
}
