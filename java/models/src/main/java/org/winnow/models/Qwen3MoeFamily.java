package org.winnow.models;

import org.winnow.models.DecoderSpec.Attention;
import org.winnow.models.DecoderSpec.Mlp;

/**
 * Qwen3-MoE: norms on each head of q and k; no shared experts. Yang et al. 2025, arXiv:2505.09388.
 */
final class Qwen3MoeFamily extends Family {
  /** Qwen3MoeConfig. */
  @Override
  ConfigTable table() {
    return LlamaTable.qwen(LlamaTable.table().without(ConfigKey.MLP_BIAS))
        .with(
            ConfigRow.of(ConfigKey.INTERMEDIATE_SIZE, LlamaTable.SIZE).absent(6144),
            ConfigRow.of(ConfigKey.NUM_HEADS, LlamaTable.SIZE).absent(32),
            ConfigRow.of(ConfigKey.NUM_KV_HEADS, LlamaTable.SIZE).absent(4).nullable(),
            ConfigRow.of(ConfigKey.EXPERT_SIZE, LlamaTable.SIZE).absent(768),
            LlamaTable.someExperts(128),
            LlamaTable.topK(8))
        .neutral("mlp_bias", false)
        .neutral("use_qk_norm", true)
        .neutral("qk_norm", true);
  }

  @Override
  boolean slides(ConfigValues config, int layer) {
    return config.isTrue(ConfigKey.USE_SLIDING_WINDOW);
  }

  @Override
  Attention attention(ModelConfig config, String prefix, int layer) {
    return groupedQuery(
        config, prefix, layer, config.attention().headDim(), config.attention().headDim(), null);
  }

  @Override
  Mlp mlp(ModelConfig config, DecoderNames names, String prefix, int layer) {
    if (!config.isSparse(layer)) return dense(config, prefix + ".mlp", config.intermediateSize());
    return softmaxExperts(config, new MoeNames(names, prefix, "mlp"));
  }
}
