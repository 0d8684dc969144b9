package org.winnow.models;

import org.winnow.models.DecoderSpec.Attention;
import org.winnow.models.DecoderSpec.Mlp;

/**
 * OLMoE: norms on q and k before they are split into heads. Muennighoff et al. 2024,
 * arXiv:2409.02060.
 */
final class OlmoeFamily extends Family {
  /** OlmoeConfig. */
  @Override
  ConfigTable table() {
    return LlamaTable.table()
        .without(ConfigKey.MLP_BIAS)
        .with(
            ConfigRow.of(ConfigKey.VOCABULARY_SIZE, LlamaTable.TOKENS).absent(50304),
            ConfigRow.of(ConfigKey.HIDDEN_SIZE, LlamaTable.SIZE).absent(2048),
            ConfigRow.of(ConfigKey.INTERMEDIATE_SIZE, LlamaTable.SIZE).absent(2048),
            ConfigRow.of(ConfigKey.NUM_LAYERS, LlamaTable.LAYERS).absent(16),
            ConfigRow.of(ConfigKey.NUM_HEADS, LlamaTable.SIZE).absent(16),
            ConfigRow.of(ConfigKey.MAX_POSITIONS, LlamaTable.TOKENS).absent(4096),
            ConfigRow.of(ConfigKey.EPSILON, LlamaTable.EPSILON).absent(1e-5),
            ConfigRow.of(ConfigKey.CLIP, LlamaTable.POSITIVE).optional().nullable(),
            LlamaTable.experts(64, "num_experts"),
            LlamaTable.topK(8),
            LlamaTable.flag(ConfigKey.NORM_TOP_K, false),
            LlamaTable.mlpTypes())
        .neutral("mlp_bias", false)
        .neutral("use_qk_norm", true)
        .neutral("qk_norm", true);
  }

  @Override
  Attention attention(ModelConfig config, String prefix, int layer) {
    ModelConfig.Attention attention = config.attention();
    long headDim = attention.headDim();
    return groupedQuery(
        config,
        prefix,
        layer,
        attention.numHeads() * headDim,
        attention.numKvHeads() * headDim,
        null);
  }

  @Override
  Mlp mlp(ModelConfig config, DecoderNames names, String prefix, int layer) {
    if (!config.isSparse(layer)) return dense(config, prefix + ".mlp", config.intermediateSize());
    return softmaxExperts(config, new MoeNames(names, prefix, "mlp"));
  }
}
