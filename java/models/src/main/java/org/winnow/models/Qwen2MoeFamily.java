package org.winnow.models;

import org.winnow.models.DecoderSpec.ExpertMlp;
import org.winnow.models.DecoderSpec.Mlp;
import org.winnow.models.DecoderSpec.Projection;

/**
 * Qwen2-MoE: a shared block with a sigmoid gate beside the experts; biases on q, k and v. Yang et
 * al. 2024, arXiv:2407.10671.
 */
final class Qwen2MoeFamily extends Family {
  @Override
  Mlp mlp(ModelConfig config, String prefix, int layer) {
    if (!config.isSparse(layer)) return dense(config, prefix + ".mlp", config.intermediateSize());
    String moe = prefix + ".mlp";
    ExpertMlp experts =
        softmaxExperts(
            config,
            router(config, moe + ".gate", false),
            separate(moe + ".experts", "gate_proj", "up_proj", "down_proj"));
    return experts.withShared(
        dense(config, moe + ".shared_expert", config.requireExperts().sharedIntermediateSize()),
        new Projection(moe + ".shared_expert_gate", 1, config.hiddenSize(), false));
  }
}
