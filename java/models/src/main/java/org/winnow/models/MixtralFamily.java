package org.winnow.models;

import org.winnow.models.DecoderSpec.Mlp;

/**
 * Mixtral: every layer has experts. Softmax chooses them; the chosen weights are renormalised.
 * Jiang et al. 2024, arXiv:2401.04088.
 */
final class MixtralFamily extends Family {
  @Override
  Mlp mlp(ModelConfig config, String prefix, int layer) {
    String moe = prefix + ".block_sparse_moe";
    return softmaxExperts(
        config, router(config, moe + ".gate", false), separate(moe + ".experts", "w1", "w3", "w2"));
  }
}
