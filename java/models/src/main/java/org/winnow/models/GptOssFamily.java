package org.winnow.models;

import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.models.ConfigType.Text;
import org.winnow.models.DecoderSpec.Attention;
import org.winnow.models.DecoderSpec.Mlp;

/**
 * gpt-oss: attention sinks; a sliding window in every other layer; biases everywhere; each matrix
 * of all experts of a layer in one tensor. arXiv:2508.10925.
 */
final class GptOssFamily extends Family {
  /** GptOssConfig. */
  @Override
  ConfigTable table() {
    return LlamaTable.table()
        .without(ConfigKey.MLP_BIAS)
        .with(
            ConfigRow.of(ConfigKey.VOCABULARY_SIZE, LlamaTable.TOKENS).absent(201088),
            ConfigRow.of(ConfigKey.HIDDEN_SIZE, LlamaTable.SIZE).absent(2880),
            ConfigRow.of(ConfigKey.INTERMEDIATE_SIZE, LlamaTable.SIZE).absent(2880),
            ConfigRow.of(ConfigKey.NUM_LAYERS, LlamaTable.LAYERS).absent(36),
            ConfigRow.of(ConfigKey.NUM_HEADS, LlamaTable.SIZE).absent(64),
            ConfigRow.of(ConfigKey.NUM_KV_HEADS, LlamaTable.SIZE).absent(8).nullable(),
            ConfigRow.of(ConfigKey.HEAD_DIM, LlamaTable.HEAD).absent(64).nullable(),
            ConfigRow.of(ConfigKey.MAX_POSITIONS, LlamaTable.TOKENS).absent(131072),
            ConfigRow.of(ConfigKey.EPSILON, LlamaTable.EPSILON).absent(1e-5),
            ConfigRow.of(ConfigKey.THETA, LlamaTable.THETA).absent(150_000.0).nullable(),
            ConfigRow.of(ConfigKey.ACTIVATION, new Text()).absent("silu").only("silu", "swish"),
            LlamaTable.slidingWindow().absent(128),
            LlamaTable.experts(128, "num_local_experts"),
            LlamaTable.topK(4),
            ConfigRow.of(ConfigKey.SWIGLU_LIMIT, LlamaTable.POSITIVE).absent(7.0).only(7.0),
            ConfigRow.of(ConfigKey.SWIGLU_ALPHA, LlamaTable.POSITIVE).absent(1.702).only(1.702),
            LlamaTable.flag(ConfigKey.ATTENTION_BIAS, true),
            LlamaTable.mlpTypes().only("sparse"))
        .neutral("mlp_bias", false)
        .neutral("norm_topk_prob", true);
  }

  /** The class extends a context of 4096 tokens where the configuration says nothing. */
  @Override
  Map<String, @Nullable Object> defaultRope() {
    return Map.of(
        "rope_type",
        "yarn",
        "factor",
        32.0,
        "beta_fast",
        32.0,
        "beta_slow",
        1.0,
        "truncate",
        false,
        "original_max_position_embeddings",
        4096L);
  }

  @Override
  boolean hasLayerTypes() {
    return true;
  }

  @Override
  boolean slides(ConfigValues config, int layer) {
    return layer % 2 == 0;
  }

  @Override
  Attention attention(ModelConfig config, String prefix, int layer) {
    return groupedQuery(config, prefix, layer, 0, 0, prefix + ".sinks");
  }

  @Override
  Mlp mlp(ModelConfig config, DecoderNames names, String prefix, int layer) {
    MoeNames moe = new MoeNames(names, prefix, "mlp");
    return softmaxExperts(
        config, router(config, moe.router("router"), true), moe.interleavedExperts());
  }
}
