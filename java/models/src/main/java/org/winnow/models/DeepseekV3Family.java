package org.winnow.models;

import org.winnow.CheckpointException;
import org.winnow.attention.MlaAttention;
import org.winnow.models.DecoderSpec.Attention;
import org.winnow.models.DecoderSpec.ExpertMlp;
import org.winnow.models.DecoderSpec.LatentAttention;
import org.winnow.models.DecoderSpec.Mlp;
import org.winnow.models.DecoderSpec.Norm;
import org.winnow.models.DecoderSpec.Projection;
import org.winnow.op.TopKRouter;

/**
 * DeepSeek-V3: latent attention; groups of experts, chosen by sigmoid with a correction bias;
 * shared experts; dense first layers. arXiv:2412.19437.
 */
final class DeepseekV3Family extends Family {
  @Override
  Attention attention(ModelConfig config, String prefix, int layer) {
    ModelConfig.LatentAttention latent = config.latentAttention();
    if (latent == null)
      throw new CheckpointException(config.file(), "kv_lora_rank", "a number", "nothing");
    int numHeads = config.attention().numHeads();
    long hidden = config.hiddenSize();
    long rank = latent.latentRank();
    boolean biased = config.attention().outputBias();
    long queries = (long) numHeads * (latent.nopeDim() + latent.ropeDim());
    Double mscale = config.rope().mscaleAllDim();
    boolean lowRankQuery = latent.queryRank() > 0;
    return new LatentAttention(
        numHeads,
        latent.nopeDim(),
        latent.ropeDim(),
        latent.valueDim(),
        latent.latentRank(),
        latent.interleavedRope(),
        lowRankQuery
            ? new Projection(prefix + ".q_a_proj", latent.queryRank(), hidden, biased)
            : null,
        lowRankQuery ? new Norm(prefix + ".q_a_layernorm.weight", latent.queryRank()) : null,
        lowRankQuery
            ? new Projection(prefix + ".q_b_proj", queries, latent.queryRank(), false)
            : new Projection(prefix + ".q_proj", queries, hidden, false),
        new Projection(prefix + ".kv_a_proj_with_mqa", rank + latent.ropeDim(), hidden, biased),
        new Norm(prefix + ".kv_a_layernorm.weight", rank),
        new Projection(
            prefix + ".kv_b_proj",
            (long) numHeads * (latent.nopeDim() + latent.valueDim()),
            rank,
            false),
        new Projection(prefix + ".o_proj", hidden, (long) numHeads * latent.valueDim(), biased),
        MlaAttention.scale(
            latent.nopeDim(),
            latent.ropeDim(),
            mscale == null ? 0 : mscale,
            config.rope().factor()));
  }

  @Override
  Mlp mlp(ModelConfig config, String prefix, int layer) {
    String moe = prefix + ".mlp";
    if (!config.isSparse(layer)) return dense(config, moe, config.intermediateSize());
    ModelConfig.Experts experts = config.requireExperts();
    TopKRouter.Builder rule =
        TopKRouter.sigmoid(experts.topK())
            .renormalise(experts.renormalise())
            .scalingFactor((float) experts.scalingFactor())
            .groups(experts.numGroups(), experts.topGroups(), TopKRouter.GroupScore.SUM_OF_TOP_TWO);
    ExpertMlp routed =
        new ExpertMlp(
            experts.numExperts(),
            experts.intermediateSize(),
            router(config, moe + ".gate", false),
            rule,
            moe + ".gate.e_score_correction_bias",
            separate(moe + ".experts", "gate_proj", "up_proj", "down_proj"),
            config.activation(),
            null,
            null);
    return experts.sharedIntermediateSize() == 0
        ? routed
        : routed.withShared(
            dense(config, moe + ".shared_experts", experts.sharedIntermediateSize()), null);
  }
}
