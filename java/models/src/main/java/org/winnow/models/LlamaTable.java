package org.winnow.models;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.winnow.models.ConfigType.Flag;
import org.winnow.models.ConfigType.Real;
import org.winnow.models.ConfigType.Text;
import org.winnow.models.ConfigType.Texts;
import org.winnow.models.ConfigType.Whole;
import org.winnow.models.ConfigType.Wholes;

/**
 * The table of Llama, on which the tables of all families are built, and rows that several of them
 * share. A key that is absent has the value of the family's configuration class in Hugging Face
 * transformers 5. A flag that is null is false, as it is in Python.
 */
final class LlamaTable {
  static final Whole SIZE = new Whole(1, 1 << 24); // widths
  static final Whole HEAD = new Whole(1, 1 << 16); // width of a head
  static final Whole TOKENS = new Whole(1, 1 << 30); // vocabulary and context
  static final Whole LAYERS = new Whole(1, 1 << 14);
  static final Whole EXPERTS = new Whole(1, 1 << 16);

  /** Positive numbers that remain positive and finite in single precision. */
  static final Real POSITIVE = new Real(Float.MIN_NORMAL, 1e12);

  static final Real EPSILON = new Real(Float.MIN_NORMAL, 1);
  static final Real THETA = new Real(Math.nextUp(1.0), 1e12);

  private static final Object[] ACTIVATIONS = {
    "silu", "swish", "gelu", "gelu_pytorch_tanh", "gelu_new", "gelu_tanh", "relu"
  };

  private LlamaTable() {}

  /** LlamaConfig. */
  static ConfigTable table() {
    ConfigTable table =
        ConfigTable.of(
            ConfigRow.of(ConfigKey.VOCABULARY_SIZE, TOKENS).absent(32000),
            ConfigRow.of(ConfigKey.HIDDEN_SIZE, SIZE).absent(4096),
            ConfigRow.of(ConfigKey.INTERMEDIATE_SIZE, SIZE).absent(11008),
            ConfigRow.of(ConfigKey.NUM_LAYERS, LAYERS).absent(32),
            ConfigRow.of(ConfigKey.NUM_HEADS, SIZE).absent(32),
            ConfigRow.of(ConfigKey.NUM_KV_HEADS, SIZE).optional().nullable(),
            ConfigRow.of(ConfigKey.HEAD_DIM, HEAD).optional().nullable(),
            ConfigRow.of(ConfigKey.MAX_POSITIONS, TOKENS).absent(2048),
            ConfigRow.of(ConfigKey.EPSILON, EPSILON).absent(1e-6),
            ConfigRow.of(ConfigKey.ACTIVATION, new Text()).absent("silu").only(ACTIVATIONS),
            ConfigRow.of(ConfigKey.THETA, THETA).absent(10_000.0).nullable(),
            flag(ConfigKey.TIED, false),
            flag(ConfigKey.ATTENTION_BIAS, false),
            flag(ConfigKey.MLP_BIAS, false),
            ConfigRow.of(ConfigKey.LAYER_TYPES, new Texts())
                .optional()
                .nullable()
                .only("full_attention", "sliding_attention"));
    return neutral(table);
  }

  /** Keys of other families' code that change what is computed. */
  private static ConfigTable neutral(ConfigTable table) {
    ConfigTable result = table;
    for (String limit :
        new String[] {
          "attn_logit_softcapping",
          "final_logit_softcapping",
          "attention_chunk_size",
          "attention_multiplier",
          "query_pre_attn_scalar",
          "index_topk",
          "kv_lora_rank",
          "clip_qkv",
          "swiglu_limit",
          "mrope_section",
          "no_rope_layers",
          "compress_ratios"
        }) result = result.neutral(limit);
    for (String factor :
        new String[] {
          "partial_rotary_factor",
          "rotary_pct",
          "logit_scale",
          "logits_scaling",
          "lm_head_multiplier",
          "embedding_multiplier",
          "residual_multiplier",
          "scale_emb",
          "routed_scaling_factor",
          "n_group",
          "topk_group"
        }) result = result.neutral(factor, 1);
    for (String switched :
        new String[] {
          "qkv_bias",
          "use_qk_norm",
          "qk_norm",
          "qk_layernorm",
          "use_qk_layernorm",
          "use_parallel_residual",
          "alibi",
          "use_alibi",
          "apply_router_weight_on_input",
          "moe_apply_router_weight_on_input"
        }) result = result.neutral(switched, false);
    return result
        .neutral("num_kv_shared_layers", 0)
        .neutral("zero_expert_num", 0)
        .neutral("scoring_func", "softmax")
        .neutral("topk_method", "greedy");
  }

  /** A table for families whose feed-forward layers and attention have no bias key. */
  static ConfigTable withoutBiases() {
    return table()
        .without(ConfigKey.ATTENTION_BIAS)
        .without(ConfigKey.MLP_BIAS)
        .neutral("attention_bias", false)
        .neutral("mlp_bias", false);
  }

  static ConfigRow<Boolean> flag(ConfigKey<Boolean> key, boolean absent) {
    return ConfigRow.of(key, new Flag()).absent(absent).ifNull(false);
  }

  /** The number of experts. All tools' spellings are understood, the class's own comes first. */
  static ConfigRow<Integer> experts(int absent, String own) {
    Set<String> spellings = new LinkedHashSet<>();
    spellings.add(own);
    spellings.addAll(
        List.of(
            "num_experts",
            "num_local_experts",
            "n_routed_experts",
            "moe_num_experts",
            "num_routed_experts",
            "num_moe_experts",
            "n_experts"));
    return ConfigRow.of(ConfigKey.NUM_EXPERTS, EXPERTS)
        .spelled(spellings.toArray(String[]::new))
        .absent(absent);
  }

  /** All spellings but {@code top_k}, which older configurations have for sampling. */
  static ConfigRow<Integer> topK(int absent) {
    return ConfigRow.of(ConfigKey.TOP_K, EXPERTS)
        .spelled(
            "num_experts_per_tok",
            "experts_per_token",
            "num_experts_per_token",
            "moe_top_k",
            "moe_topk",
            "moe_k",
            "moe_router_topk",
            "num_selected_experts",
            "top_k_experts",
            "topk")
        .absent(absent);
  }

  static ConfigRow<Integer> slidingWindow() {
    return ConfigRow.of(ConfigKey.SLIDING_WINDOW, new Whole(0, TOKENS.most()))
        .optional()
        .nullable();
  }

  /** Which layers have experts, by name. */
  static ConfigRow<List<String>> mlpTypes() {
    return ConfigRow.of(ConfigKey.MLP_TYPES, new Texts())
        .optional()
        .nullable()
        .only("dense", "sparse");
  }

  /** As {@link #experts}. With none, every layer is dense. */
  static ConfigRow<Integer> someExperts(int absent) {
    ConfigRow<Integer> row = experts(absent, "num_experts");
    return ConfigRow.of(ConfigKey.NUM_EXPERTS, new Whole(0, EXPERTS.most()))
        .spelled(row.spellings().toArray(String[]::new))
        .absent(absent);
  }

  /** A table with the rows that Qwen2-MoE and Qwen3-MoE share. */
  static ConfigTable qwen(ConfigTable table) {
    return table.with(
        ConfigRow.of(ConfigKey.VOCABULARY_SIZE, TOKENS).absent(151936),
        ConfigRow.of(ConfigKey.HIDDEN_SIZE, SIZE).absent(2048),
        ConfigRow.of(ConfigKey.NUM_LAYERS, LAYERS).absent(24),
        ConfigRow.of(ConfigKey.MAX_POSITIONS, TOKENS).absent(32768),
        flag(ConfigKey.USE_SLIDING_WINDOW, false),
        slidingWindow().absent(4096),
        ConfigRow.of(ConfigKey.SPARSE_STEP, LAYERS).absent(1),
        ConfigRow.of(ConfigKey.DENSE_LAYERS, new Wholes(0, LAYERS.most())).optional().nullable(),
        flag(ConfigKey.NORM_TOP_K, false),
        mlpTypes());
  }
}
