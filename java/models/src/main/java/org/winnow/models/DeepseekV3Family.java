package org.winnow.models;

import org.winnow.CheckpointException;
import org.winnow.attention.MlaAttention;
import org.winnow.models.ConfigType.Text;
import org.winnow.models.ConfigType.Whole;
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
  /** DeepseekV3Config. */
  @Override
  ConfigTable table() {
    return LlamaTable.table()
        .without(ConfigKey.MLP_BIAS, ConfigKey.NUM_KV_HEADS, ConfigKey.HEAD_DIM)
        .with(
            ConfigRow.of(ConfigKey.VOCABULARY_SIZE, LlamaTable.TOKENS).absent(129280),
            ConfigRow.of(ConfigKey.HIDDEN_SIZE, LlamaTable.SIZE).absent(7168),
            ConfigRow.of(ConfigKey.INTERMEDIATE_SIZE, LlamaTable.SIZE).absent(18432),
            ConfigRow.of(ConfigKey.EXPERT_SIZE, LlamaTable.SIZE).absent(2048),
            ConfigRow.of(ConfigKey.NUM_LAYERS, LlamaTable.LAYERS).absent(61),
            ConfigRow.of(ConfigKey.NUM_HEADS, LlamaTable.SIZE).absent(128),
            ConfigRow.of(ConfigKey.MAX_POSITIONS, LlamaTable.TOKENS).absent(4096),
            ConfigRow.of(ConfigKey.LATENT_RANK, LlamaTable.SIZE).absent(512),
            ConfigRow.of(ConfigKey.QUERY_RANK, LlamaTable.SIZE).absent(1536).nullable(),
            ConfigRow.of(ConfigKey.NOPE_DIM, LlamaTable.HEAD).absent(128),
            ConfigRow.of(ConfigKey.ROPE_DIM, LlamaTable.HEAD).absent(64),
            ConfigRow.of(ConfigKey.VALUE_DIM, LlamaTable.HEAD).absent(128),
            LlamaTable.flag(ConfigKey.ROPE_INTERLEAVE, true))
        .with(
            LlamaTable.experts(256, "n_routed_experts"),
            LlamaTable.topK(8),
            ConfigRow.of(ConfigKey.NUM_GROUPS, LlamaTable.EXPERTS).absent(8),
            ConfigRow.of(ConfigKey.TOP_GROUPS, LlamaTable.EXPERTS).absent(4),
            ConfigRow.of(ConfigKey.NUM_SHARED, new Whole(0, LlamaTable.EXPERTS.most()))
                .spelled("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
                .absent(1)
                .ifNull(0),
            LlamaTable.flag(ConfigKey.NORM_TOP_K, true),
            ConfigRow.of(ConfigKey.SCALING_FACTOR, LlamaTable.POSITIVE).absent(2.5),
            ConfigRow.of(ConfigKey.SCORING, new Text()).absent("sigmoid").only("sigmoid"),
            ConfigRow.of(ConfigKey.METHOD, new Text()).absent("noaux_tc").only("noaux_tc"),
            ConfigRow.of(ConfigKey.FIRST_DENSE, new Whole(0, LlamaTable.LAYERS.most())).absent(3),
            ConfigRow.of(ConfigKey.LAYER_FREQUENCY, LlamaTable.LAYERS).absent(1).ifNull(1),
            LlamaTable.mlpTypes(),
            ConfigRow.of(ConfigKey.FURTHER_LAYERS, new Whole(0, LlamaTable.LAYERS.most()))
                .spelled("num_nextn_predict_layers", "num_mtp_layers")
                .absent(1)
                .ifNull(0))
        .neutral("mlp_bias", false);
  }

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
  Mlp mlp(ModelConfig config, DecoderNames names, String prefix, int layer) {
    if (!config.isSparse(layer)) return dense(config, prefix + ".mlp", config.intermediateSize());
    MoeNames moe = new MoeNames(names, prefix, "mlp");
    String router = moe.router("gate");
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
            router(config, router, false),
            rule,
            moe.correctionBias(router),
            moe.experts(moe.separate("gate_proj", "up_proj", "down_proj")),
            config.activation(),
            null,
            null);
    return experts.sharedIntermediateSize() == 0
        ? routed
        : routed.withShared(
            dense(config, moe.module() + ".shared_experts", experts.sharedIntermediateSize()),
            null);
  }
}
