package org.winnow.models;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Something that a configuration says. How it is spelled, and what it means where it is absent, is
 * a {@link ConfigRow} of a family's {@link ConfigTable}.
 *
 * @param name its most common spelling
 * @param <T> type of the value
 */
record ConfigKey<T>(String name) {
  static final ConfigKey<Integer> VOCABULARY_SIZE = new ConfigKey<>("vocab_size");
  static final ConfigKey<Integer> HIDDEN_SIZE = new ConfigKey<>("hidden_size");
  static final ConfigKey<Integer> INTERMEDIATE_SIZE = new ConfigKey<>("intermediate_size");
  static final ConfigKey<Integer> NUM_LAYERS = new ConfigKey<>("num_hidden_layers");
  static final ConfigKey<Integer> NUM_HEADS = new ConfigKey<>("num_attention_heads");

  /** Without a value: as many as query heads. */
  static final ConfigKey<Integer> NUM_KV_HEADS = new ConfigKey<>("num_key_value_heads");

  /** Without a value: hidden size divided by heads. */
  static final ConfigKey<Integer> HEAD_DIM = new ConfigKey<>("head_dim");

  static final ConfigKey<Integer> MAX_POSITIONS = new ConfigKey<>("max_position_embeddings");
  static final ConfigKey<Double> EPSILON = new ConfigKey<>("rms_norm_eps");
  static final ConfigKey<String> ACTIVATION = new ConfigKey<>("hidden_act");
  static final ConfigKey<Boolean> TIED = new ConfigKey<>("tie_word_embeddings");
  static final ConfigKey<Boolean> ATTENTION_BIAS = new ConfigKey<>("attention_bias");
  static final ConfigKey<Boolean> QKV_BIAS = new ConfigKey<>("qkv_bias");
  static final ConfigKey<Boolean> MLP_BIAS = new ConfigKey<>("mlp_bias");

  /** Without a value: no clamping. */
  static final ConfigKey<Double> CLIP = new ConfigKey<>("clip_qkv");

  /** Without a value: as the family's own code arranges them. */
  static final ConfigKey<List<String>> LAYER_TYPES = new ConfigKey<>("layer_types");

  /** Without a value: no windows. */
  static final ConfigKey<Integer> SLIDING_WINDOW = new ConfigKey<>("sliding_window");

  static final ConfigKey<Boolean> USE_SLIDING_WINDOW = new ConfigKey<>("use_sliding_window");
  static final ConfigKey<Integer> MAX_WINDOW_LAYERS = new ConfigKey<>("max_window_layers");

  /** Without a value: no latent attention. */
  static final ConfigKey<Integer> LATENT_RANK = new ConfigKey<>("kv_lora_rank");

  /** Without a value: the hidden state is projected to q directly. */
  static final ConfigKey<Integer> QUERY_RANK = new ConfigKey<>("q_lora_rank");

  static final ConfigKey<Integer> NOPE_DIM = new ConfigKey<>("qk_nope_head_dim");
  static final ConfigKey<Integer> ROPE_DIM = new ConfigKey<>("qk_rope_head_dim");
  static final ConfigKey<Integer> VALUE_DIM = new ConfigKey<>("v_head_dim");
  static final ConfigKey<Boolean> ROPE_INTERLEAVE = new ConfigKey<>("rope_interleave");

  /** Without a value: every query attends to all tokens before it. */
  static final ConfigKey<Integer> INDEX_TOP_K = new ConfigKey<>("index_topk");

  static final ConfigKey<Integer> INDEX_HEADS = new ConfigKey<>("index_n_heads");
  static final ConfigKey<Integer> INDEX_DIM = new ConfigKey<>("index_head_dim");

  /** Without a value, or 0: no experts. */
  static final ConfigKey<Integer> NUM_EXPERTS = new ConfigKey<>("num_experts");

  static final ConfigKey<Integer> TOP_K = new ConfigKey<>("num_experts_per_tok");

  /** Without a value: the intermediate size. */
  static final ConfigKey<Integer> EXPERT_SIZE = new ConfigKey<>("moe_intermediate_size");

  static final ConfigKey<Boolean> NORM_TOP_K = new ConfigKey<>("norm_topk_prob");
  static final ConfigKey<Double> SCALING_FACTOR = new ConfigKey<>("routed_scaling_factor");
  static final ConfigKey<String> SCORING = new ConfigKey<>("scoring_func");
  static final ConfigKey<String> METHOD = new ConfigKey<>("topk_method");
  static final ConfigKey<Integer> NUM_GROUPS = new ConfigKey<>("n_group");

  /** Without a value: all groups. */
  static final ConfigKey<Integer> TOP_GROUPS = new ConfigKey<>("topk_group");

  static final ConfigKey<Integer> NUM_SHARED = new ConfigKey<>("n_shared_experts");
  static final ConfigKey<Integer> SHARED_SIZE = new ConfigKey<>("shared_expert_intermediate_size");
  static final ConfigKey<Double> SWIGLU_LIMIT = new ConfigKey<>("swiglu_limit");
  static final ConfigKey<Double> SWIGLU_ALPHA = new ConfigKey<>("swiglu_alpha");
  static final ConfigKey<Integer> FIRST_DENSE = new ConfigKey<>("first_k_dense_replace");
  static final ConfigKey<Integer> LAYER_FREQUENCY = new ConfigKey<>("moe_layer_freq");
  static final ConfigKey<Integer> SPARSE_STEP = new ConfigKey<>("decoder_sparse_step");
  static final ConfigKey<List<Integer>> DENSE_LAYERS = new ConfigKey<>("mlp_only_layers");

  /** Without a value: as the other keys say. */
  static final ConfigKey<List<String>> MLP_TYPES = new ConfigKey<>("mlp_layer_types");

  static final ConfigKey<Integer> FURTHER_LAYERS = new ConfigKey<>("num_nextn_predict_layers");

  static final ConfigKey<Double> THETA = new ConfigKey<>("rope_theta");
  static final ConfigKey<String> ROPE_TYPE = new ConfigKey<>("rope_type");
  static final ConfigKey<Double> ROPE_PARTIAL = new ConfigKey<>("partial_rotary_factor");

  /** Without a value: for YaRN, the quotient of the two contexts. */
  static final ConfigKey<Double> ROPE_FACTOR = new ConfigKey<>("factor");

  /** Without a value: the maximal number of positions. */
  static final ConfigKey<Integer> ROPE_ORIGINAL =
      new ConfigKey<>("original_max_position_embeddings");

  static final ConfigKey<Double> ROPE_LOW = new ConfigKey<>("low_freq_factor");
  static final ConfigKey<Double> ROPE_HIGH = new ConfigKey<>("high_freq_factor");
  static final ConfigKey<Double> ROPE_FAST = new ConfigKey<>("beta_fast");
  static final ConfigKey<Double> ROPE_SLOW = new ConfigKey<>("beta_slow");
  static final ConfigKey<Boolean> ROPE_TRUNCATE = new ConfigKey<>("truncate");

  /** Without a value: derived from the factor. */
  static final ConfigKey<Double> ROPE_ATTENTION = new ConfigKey<>("attention_factor");

  static final ConfigKey<Double> ROPE_MSCALE = new ConfigKey<>("mscale");
  static final ConfigKey<Double> ROPE_MSCALE_ALL = new ConfigKey<>("mscale_all_dim");

  /** As Java would assemble it at the first call, which takes ten milliseconds. */
  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof ConfigKey<?> key && name.equals(key.name);
  }

  @Override
  public int hashCode() {
    return name.hashCode();
  }
}
