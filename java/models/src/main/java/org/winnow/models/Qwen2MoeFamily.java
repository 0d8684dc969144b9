package org.winnow.models;

import org.winnow.models.ConfigType.Whole;
import org.winnow.models.DecoderSpec.ExpertMlp;
import org.winnow.models.DecoderSpec.Mlp;
import org.winnow.models.DecoderSpec.Projection;

/**
 * Qwen2-MoE: a shared block with a sigmoid gate beside the experts; biases on q, k and v. Yang et
 * al. 2024, arXiv:2407.10671.
 */
final class Qwen2MoeFamily extends Family {
  /** Qwen2MoeConfig. */
  @Override
  ConfigTable table() {
    return LlamaTable.qwen(LlamaTable.withoutBiases())
        .with(
            ConfigRow.of(ConfigKey.INTERMEDIATE_SIZE, LlamaTable.SIZE).absent(5632),
            ConfigRow.of(ConfigKey.NUM_HEADS, LlamaTable.SIZE).absent(16),
            ConfigRow.of(ConfigKey.NUM_KV_HEADS, LlamaTable.SIZE).absent(16).nullable(),
            ConfigRow.of(ConfigKey.MAX_WINDOW_LAYERS, new Whole(0, LlamaTable.LAYERS.most()))
                .absent(28),
            ConfigRow.of(ConfigKey.EXPERT_SIZE, LlamaTable.SIZE).absent(1408),
            ConfigRow.of(ConfigKey.SHARED_SIZE, LlamaTable.SIZE).absent(5632),
            LlamaTable.someExperts(60),
            LlamaTable.topK(4),
            LlamaTable.flag(ConfigKey.QKV_BIAS, true));
  }

  @Override
  boolean hasLayerTypes() {
    return true;
  }

  @Override
  boolean slides(ConfigValues config, int layer) {
    return config.isTrue(ConfigKey.USE_SLIDING_WINDOW)
        && layer % 2 == 0
        && layer < config.require(ConfigKey.MAX_WINDOW_LAYERS);
  }

  @Override
  Mlp mlp(ModelConfig config, DecoderNames names, String prefix, int layer) {
    if (!config.isSparse(layer)) return dense(config, prefix + ".mlp", config.intermediateSize());
    MoeNames moe = new MoeNames(names, prefix, "mlp");
    ExpertMlp experts = softmaxExperts(config, moe);
    String shared = moe.module() + ".shared_expert";
    return experts.withShared(
        dense(config, shared, config.requireExperts().sharedIntermediateSize()),
        new Projection(shared + "_gate", 1, config.hiddenSize(), false));
  }
}
