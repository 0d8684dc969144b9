package org.winnow.models;

import org.winnow.models.ConfigType.Text;
import org.winnow.models.ConfigType.Texts;
import org.winnow.models.ConfigType.Whole;
import org.winnow.models.ConfigType.Wholes;

/**
 * Families that Winnow does not compute. Their configurations are read for reports only: usual
 * spellings, and no value where a key is absent that only their own code would know.
 */
final class ForeignFamily extends Family {
  @Override
  ConfigTable table() {
    return ConfigTable.of(
            ConfigRow.of(ConfigKey.VOCABULARY_SIZE, LlamaTable.TOKENS),
            ConfigRow.of(ConfigKey.HIDDEN_SIZE, LlamaTable.SIZE),
            ConfigRow.of(ConfigKey.INTERMEDIATE_SIZE, LlamaTable.SIZE).optional().nullable(),
            ConfigRow.of(ConfigKey.NUM_LAYERS, LlamaTable.LAYERS),
            ConfigRow.of(ConfigKey.NUM_HEADS, LlamaTable.SIZE),
            ConfigRow.of(ConfigKey.NUM_KV_HEADS, LlamaTable.SIZE).optional().nullable(),
            ConfigRow.of(ConfigKey.HEAD_DIM, LlamaTable.HEAD).optional().nullable(),
            ConfigRow.of(ConfigKey.MAX_POSITIONS, LlamaTable.TOKENS),
            ConfigRow.of(ConfigKey.EPSILON, LlamaTable.EPSILON)
                .spelled("rms_norm_eps", "layer_norm_eps", "norm_eps"),
            ConfigRow.of(ConfigKey.ACTIVATION, new Text())
                .spelled("hidden_act", "hidden_activation")
                .absent("silu")
                .ifNull("silu"),
            ConfigRow.of(ConfigKey.THETA, LlamaTable.THETA).absent(10_000.0).ifNull(10_000.0),
            LlamaTable.flag(ConfigKey.TIED, false),
            LlamaTable.flag(ConfigKey.ATTENTION_BIAS, false),
            LlamaTable.flag(ConfigKey.MLP_BIAS, false),
            ConfigRow.of(ConfigKey.LAYER_TYPES, new Texts()).optional().nullable())
        .with(
            ConfigRow.of(ConfigKey.LATENT_RANK, LlamaTable.SIZE).optional().nullable(),
            ConfigRow.of(ConfigKey.QUERY_RANK, LlamaTable.SIZE).optional().nullable(),
            ConfigRow.of(ConfigKey.NOPE_DIM, LlamaTable.HEAD).optional().nullable(),
            ConfigRow.of(ConfigKey.ROPE_DIM, LlamaTable.HEAD).optional().nullable(),
            ConfigRow.of(ConfigKey.VALUE_DIM, LlamaTable.HEAD).optional().nullable(),
            LlamaTable.flag(ConfigKey.ROPE_INTERLEAVE, true),
            ConfigRow.of(ConfigKey.INDEX_TOP_K, LlamaTable.TOKENS).optional().nullable(),
            ConfigRow.of(ConfigKey.INDEX_HEADS, LlamaTable.SIZE).optional().nullable(),
            ConfigRow.of(ConfigKey.INDEX_DIM, LlamaTable.SIZE).optional().nullable())
        .with(
            LlamaTable.someExperts(0).ifNull(0),
            LlamaTable.topK(1)
                .spelled(
                    "num_experts_per_tok",
                    "experts_per_token",
                    "num_experts_per_token",
                    "moe_top_k",
                    "moe_k")
                .optional()
                .nullable(),
            ConfigRow.of(ConfigKey.EXPERT_SIZE, LlamaTable.SIZE).optional().nullable(),
            ConfigRow.of(ConfigKey.NUM_GROUPS, LlamaTable.EXPERTS).absent(1).ifNull(1),
            ConfigRow.of(ConfigKey.TOP_GROUPS, LlamaTable.EXPERTS).optional().nullable(),
            ConfigRow.of(ConfigKey.NUM_SHARED, new Whole(0, LlamaTable.EXPERTS.most()))
                .spelled("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
                .absent(0)
                .ifNull(0),
            ConfigRow.of(ConfigKey.SHARED_SIZE, LlamaTable.SIZE).optional().nullable(),
            LlamaTable.flag(ConfigKey.NORM_TOP_K, false),
            ConfigRow.of(ConfigKey.SCALING_FACTOR, LlamaTable.POSITIVE).absent(1.0).ifNull(1.0),
            ConfigRow.of(ConfigKey.SCORING, new Text()).absent("softmax").ifNull("softmax"),
            ConfigRow.of(ConfigKey.METHOD, new Text()).absent("greedy").ifNull("greedy"))
        .with(
            ConfigRow.of(ConfigKey.FIRST_DENSE, new Whole(0, LlamaTable.LAYERS.most()))
                .absent(0)
                .ifNull(0),
            ConfigRow.of(ConfigKey.LAYER_FREQUENCY, LlamaTable.LAYERS).absent(1).ifNull(1),
            ConfigRow.of(ConfigKey.SPARSE_STEP, LlamaTable.LAYERS).absent(1).ifNull(1),
            ConfigRow.of(ConfigKey.DENSE_LAYERS, new Wholes(0, LlamaTable.LAYERS.most()))
                .optional()
                .nullable(),
            ConfigRow.of(ConfigKey.MLP_TYPES, new Texts()).optional().nullable(),
            ConfigRow.of(ConfigKey.FURTHER_LAYERS, new Whole(0, LlamaTable.LAYERS.most()))
                .spelled("num_nextn_predict_layers", "num_mtp_layers")
                .absent(0)
                .ifNull(0));
  }

  @Override
  boolean isSupported() {
    return false;
  }
}
