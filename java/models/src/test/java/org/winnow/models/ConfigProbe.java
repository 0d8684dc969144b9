package org.winnow.models;

import static org.winnow.models.ConfigKey.*;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What a test expects of a key, written down apart from the tables.
 *
 * @param spellings all that are understood
 * @param value a value that is accepted, as JSON
 * @param other another one
 * @param ifNull what null means: a value, null for none, or {@link #REFUSED}
 * @param refused values that are refused by the key's name
 * @param unsupported values that are read, but with which no model is computed
 * @param with other keys that the model needs for the value to show
 * @param shown where the value shows in the configuration that was read
 */
record ConfigProbe(
    ConfigKey<?> key,
    List<String> spellings,
    Object value,
    Object other,
    @Nullable Object ifNull,
    List<Object> refused,
    List<Object> unsupported,
    Map<String, Object> with,
    Function<ModelConfig, @Nullable Object> shown) {
  static final Object REFUSED = "refused";

  private static final List<Object> NO_INTEGERS =
      List.of("64", 64.5, true, List.of(), Map.of(), Double.POSITIVE_INFINITY, 1L << 40);
  private static final List<Object> NO_NUMBERS =
      List.of(
          "1",
          true,
          List.of(),
          Map.of(),
          Double.NaN,
          Double.POSITIVE_INFINITY,
          -1.0,
          1e-320,
          1e300);
  private static final List<Object> NO_FLAGS = List.of("true", 1L, 0.0, List.of(), Map.of());
  private static final List<Object> NO_TEXTS = List.of(1L, true, List.of(), Map.of(), Double.NaN);

  private static ConfigProbe of(
      ConfigKey<?> key,
      Object value,
      Object other,
      @Nullable Object ifNull,
      List<Object> refused,
      Function<ModelConfig, @Nullable Object> shown) {
    return new ConfigProbe(
        key, List.of(key.name()), value, other, ifNull, refused, List.of(), Map.of(), shown);
  }

  private static List<Object> and(List<Object> values, Object... more) {
    List<Object> all = new ArrayList<>(values);
    all.addAll(Arrays.asList(more));
    return all;
  }

  private static ConfigProbe size(
      ConfigKey<?> key, long value, Function<ModelConfig, @Nullable Object> shown) {
    return of(key, value, value + 2, REFUSED, and(NO_INTEGERS, 0L, -1L), shown);
  }

  private static ConfigProbe count(
      ConfigKey<?> key,
      long value,
      @Nullable Object ifNull,
      Function<ModelConfig, @Nullable Object> shown) {
    return of(key, value, value + 1, ifNull, and(NO_INTEGERS, -1L), shown);
  }

  private static ConfigProbe number(
      ConfigKey<?> key, double value, Function<ModelConfig, @Nullable Object> shown) {
    return of(key, value, value * 0.75, REFUSED, NO_NUMBERS, shown);
  }

  private static ConfigProbe flag(
      ConfigKey<?> key, boolean value, Function<ModelConfig, @Nullable Object> shown) {
    return of(key, value, !value, false, NO_FLAGS, shown);
  }

  private ConfigProbe none() {
    return new ConfigProbe(key, spellings, value, other, null, refused, unsupported, with, shown);
  }

  private ConfigProbe spelled(String... more) {
    return new ConfigProbe(
        key, List.of(more), value, other, ifNull, refused, unsupported, with, shown);
  }

  private ConfigProbe unsupported(Object... values) {
    return new ConfigProbe(
        key, spellings, value, other, ifNull, refused, List.of(values), with, shown);
  }

  private ConfigProbe with(String otherKey, Object otherValue) {
    Map<String, Object> more = new LinkedHashMap<>(with);
    more.put(otherKey, otherValue);
    return new ConfigProbe(key, spellings, value, other, ifNull, refused, unsupported, more, shown);
  }

  private static long count(List<?> list, Object value) {
    return list.stream().filter(value::equals).count();
  }

  private static int window(ModelConfig config) {
    return config.attention().slidingWindows().stream().mapToInt(Integer::intValue).max().orElse(0);
  }

  /** The probes of keys outside of the rope. */
  static List<ConfigProbe> all() {
    List<ConfigProbe> probes = new ArrayList<>();
    probes.add(size(VOCABULARY_SIZE, 77, ModelConfig::vocabularySize));
    probes.add(size(HIDDEN_SIZE, 8192, ModelConfig::hiddenSize));
    probes.add(size(INTERMEDIATE_SIZE, 96, ModelConfig::intermediateSize));
    probes.add(size(NUM_LAYERS, 9, ModelConfig::numLayers));
    probes.add(
        size(NUM_HEADS, 8, config -> config.attention().numHeads())
            .with("num_key_value_heads", 2L));
    probes.add(size(NUM_KV_HEADS, 1, config -> config.attention().numKvHeads()).none());
    probes.add(size(HEAD_DIM, 10, config -> config.attention().headDim()).none());
    probes.add(size(MAX_POSITIONS, 262144, ModelConfig::contextLength));
    probes.add(of(EPSILON, 1e-3, 1e-4, REFUSED, and(NO_NUMBERS, 0L, 1.5), ModelConfig::epsilon));
    probes.add(
        of(ACTIVATION, "swish", "silu", REFUSED, NO_TEXTS, ModelConfig::hiddenActivation)
            .unsupported("mish", "quick_gelu", ""));
    probes.add(flag(TIED, true, ModelConfig::tiedEmbeddings));
    probes.add(flag(ATTENTION_BIAS, true, config -> config.attention().outputBias()));
    probes.add(flag(QKV_BIAS, true, config -> config.attention().qkvBias()));
    probes.add(flag(MLP_BIAS, true, ModelConfig::mlpBias));
    probes.add(number(CLIP, 8.0, config -> config.attention().clip()).none());
    probes.add(number(THETA, 5e5, config -> config.rope().theta()).none());
    probes.add(
        of(
                LAYER_TYPES,
                List.of("full_attention"),
                List.of("full_attention", "full_attention"),
                null,
                List.of("full_attention", 1L, List.of(1L), Map.of()),
                ModelConfig::layerTypes)
            .unsupported(
                List.of("chunked_attention"), List.of("full_attention", "linear_attention"))
            .with("num_hidden_layers", 1L));
    probes.add(
        count(SLIDING_WINDOW, 7, null, ConfigProbe::window).with("use_sliding_window", true));
    probes.add(of(USE_SLIDING_WINDOW, true, false, false, NO_FLAGS, config -> window(config) > 0));
    probes.add(
        count(
                MAX_WINDOW_LAYERS,
                6,
                REFUSED, // every second layer before this one has a window
                config -> 120 - 2 * count(config.attention().slidingWindows(), 0))
            .with("use_sliding_window", true)
            .with("num_hidden_layers", 60L));
    addLatent(probes);
    addExperts(probes);
    return probes;
  }

  private static void addLatent(List<ConfigProbe> probes) {
    probes.add(size(LATENT_RANK, 11, config -> config.latentAttention().latentRank()));
    probes.add(size(QUERY_RANK, 12, config -> config.latentAttention().queryRank()).none());
    probes.add(size(NOPE_DIM, 13, config -> config.latentAttention().nopeDim()));
    probes.add(size(ROPE_DIM, 14, config -> config.latentAttention().ropeDim()));
    probes.add(size(VALUE_DIM, 15, config -> config.latentAttention().valueDim()));
    probes.add(flag(ROPE_INTERLEAVE, false, config -> config.latentAttention().interleavedRope()));
    probes.add(
        count(FURTHER_LAYERS, 2, 0L, ModelConfig::furtherTokenLayers)
            .spelled("num_nextn_predict_layers", "num_mtp_layers"));
  }

  private static void addExperts(List<ConfigProbe> probes) {
    probes.add(
        count(NUM_EXPERTS, 512, REFUSED, config -> config.experts().numExperts())
            .spelled(
                "num_experts",
                "num_local_experts",
                "n_routed_experts",
                "moe_num_experts",
                "num_routed_experts",
                "num_moe_experts",
                "n_experts"));
    probes.add(
        size(TOP_K, 3, config -> config.experts().topK())
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
                "topk"));
    probes.add(size(EXPERT_SIZE, 98, config -> config.experts().intermediateSize()));
    probes.add(flag(NORM_TOP_K, true, config -> config.experts().renormalise()));
    probes.add(number(SCALING_FACTOR, 1.5, config -> config.experts().scalingFactor()));
    probes.add(
        of(SCORING, "sigmoid", "softmax", REFUSED, NO_TEXTS, config -> config.experts().scoring())
            .unsupported("softmax", "sqrtsoftplus"));
    probes.add(
        of(METHOD, "noaux_tc", "greedy", REFUSED, NO_TEXTS, config -> config.experts().method())
            .unsupported("greedy", "group_limited_greedy"));
    probes.add(size(NUM_GROUPS, 16, config -> config.experts().numGroups()));
    probes.add(size(TOP_GROUPS, 2, config -> config.experts().topGroups()));
    probes.add(
        count(NUM_SHARED, 3, 0L, config -> config.experts().sharedIntermediateSize() / 2048)
            .spelled("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"));
    probes.add(size(SHARED_SIZE, 99, config -> config.experts().sharedIntermediateSize()));
    probes.add(
        number(SWIGLU_LIMIT, 7.0, config -> config.experts().swigluLimit()).unsupported(10L));
    probes.add(
        number(SWIGLU_ALPHA, 1.702, config -> config.experts().swigluAlpha()).unsupported(1.0));
    probes.add(
        count(FIRST_DENSE, 5, REFUSED, config -> count(config.experts().sparseLayers(), false)));
    probes.add(
        of(
            LAYER_FREQUENCY,
            2L,
            3L,
            1L,
            and(NO_INTEGERS, 0L),
            config -> config.experts().sparseLayers().get(11) ? 1 : 2));
    probes.add(size(SPARSE_STEP, 2, config -> config.experts().sparseLayers().get(0) ? 1 : 2));
    probes.add(
        of(
            DENSE_LAYERS,
            List.of(1L),
            List.of(1L, 2L),
            null,
            List.of(1L, "1", List.of(-1L), List.of(1.5), Map.of()),
            config -> List.of(config.experts().sparseLayers().indexOf(false))));
    probes.add(
        of(
                MLP_TYPES,
                List.of("sparse"),
                List.of("sparse", "sparse"),
                null,
                List.of("sparse", 1L, List.of(1L), Map.of()),
                config -> List.of(config.experts().sparseLayers().get(0) ? "sparse" : "dense"))
            .unsupported(List.of("mamba"))
            .with("num_hidden_layers", 1L));
  }

  /** The probes of the keys of a type of rope. */
  static List<ConfigProbe> rope(String type) {
    ConfigProbe factor = number(ROPE_FACTOR, 2.5, config -> config.rope().factor());
    return List.of(
        of(ROPE_TYPE, "default", "yarn", "default", NO_TEXTS, config -> config.rope().type())
            .spelled("rope_type", "type")
            .unsupported("dynamic", "longrope", "su", "mrope", "ntk", "proportional"),
        number(THETA, 5e5, config -> config.rope().theta()),
        type.equals("yarn") ? factor.none() : factor,
        size(ROPE_ORIGINAL, 100, config -> config.rope().originalContextLength()).none(),
        number(ROPE_LOW, 1.5, config -> config.rope().lowFactor()),
        number(ROPE_HIGH, 9.0, config -> config.rope().highFactor()),
        ifNull(number(ROPE_FAST, 20.0, config -> config.rope().betaFast()), 32.0),
        ifNull(number(ROPE_SLOW, 2.0, config -> config.rope().betaSlow()), 1.0),
        flag(ROPE_TRUNCATE, false, config -> config.rope().truncate()),
        scale(ROPE_ATTENTION, config -> config.rope().attentionFactor()),
        scale(ROPE_MSCALE, config -> config.rope().mscale()),
        scale(ROPE_MSCALE_ALL, config -> config.rope().mscaleAllDim()));
  }

  private static ConfigProbe ifNull(ConfigProbe probe, double value) {
    return of(probe.key, probe.value, probe.other, value, probe.refused, probe.shown);
  }

  private static ConfigProbe scale(
      ConfigKey<?> key, Function<ModelConfig, @Nullable Object> shown) {
    return of(key, 0.75, 0.0, null, List.of("1", true, -0.5, 1e7, Double.NaN), shown);
  }
}
