package org.winnow.models;

import org.winnow.models.DecoderSpec.Attention;
import org.winnow.models.DecoderSpec.Mlp;

/**
 * Qwen3-MoE: norms on each head of q and k; no shared experts. Yang et al. 2025, arXiv:2505.09388.
 */
final class Qwen3MoeFamily extends Family {
  @Override
  Attention attention(ModelConfig config, String prefix, int layer) {
    return groupedQuery(
        config, prefix, layer, config.attention().headDim(), config.attention().headDim(), null);
  }

  @Override
  Mlp mlp(ModelConfig config, String prefix, int layer) {
    String moe = prefix + ".mlp";
    if (!config.isSparse(layer)) return dense(config, moe, config.intermediateSize());
    return softmaxExperts(
        config,
        router(config, moe + ".gate", false),
        separate(moe + ".experts", "gate_proj", "up_proj", "down_proj"));
  }
}
