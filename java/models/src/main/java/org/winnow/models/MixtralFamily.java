package org.winnow.models;

import org.winnow.models.DecoderSpec.Mlp;

/**
 * Mixtral: every layer has experts. Softmax chooses them; the chosen weights are renormalised.
 * Jiang et al. 2024, arXiv:2401.04088.
 */
final class MixtralFamily extends Family {
  /** MixtralConfig. */
  @Override
  ConfigTable table() {
    return LlamaTable.withoutBiases()
        .with(
            ConfigRow.of(ConfigKey.INTERMEDIATE_SIZE, LlamaTable.SIZE).absent(14336),
            ConfigRow.of(ConfigKey.NUM_KV_HEADS, LlamaTable.SIZE).absent(8).nullable(),
            ConfigRow.of(ConfigKey.MAX_POSITIONS, LlamaTable.TOKENS).absent(131072),
            ConfigRow.of(ConfigKey.EPSILON, LlamaTable.EPSILON).absent(1e-5),
            ConfigRow.of(ConfigKey.THETA, LlamaTable.THETA).absent(1e6).nullable(),
            LlamaTable.experts(8, "num_local_experts"),
            LlamaTable.topK(2),
            LlamaTable.slidingWindow().optional(),
            LlamaTable.mlpTypes())
        .neutral("norm_topk_prob", true);
  }

  @Override
  boolean slides(ConfigValues config, int layer) {
    return true;
  }

  @Override
  Mlp mlp(ModelConfig config, DecoderNames names, String prefix, int layer) {
    if (!config.isSparse(layer)) return dense(config, prefix + ".mlp", config.intermediateSize());
    MoeNames moe = new MoeNames(names, prefix, "block_sparse_moe");
    return softmaxExperts(
        config,
        router(config, moe.router("gate"), false),
        moe.experts(moe.separate("w1", "w3", "w2")));
  }
}
