package org.winnow.models;

import org.winnow.models.DecoderSpec.Attention;
import org.winnow.models.DecoderSpec.Mlp;

/**
 * OLMoE: norms on q and k before they are split into heads. Muennighoff et al. 2024,
 * arXiv:2409.02060.
 */
final class OlmoeFamily extends Family {
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
  Mlp mlp(ModelConfig config, String prefix, int layer) {
    String moe = prefix + ".mlp";
    return softmaxExperts(
        config,
        router(config, moe + ".gate", false),
        separate(moe + ".experts", "gate_proj", "up_proj", "down_proj"));
  }
}
