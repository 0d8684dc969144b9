package org.winnow.models;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads a {@link ModelConfig}. Spellings and defaults follow Hugging Face transformers 5.18 and
 * published checkpoints: an absent key has the value that the family's own code assumes.
 */
final class ModelConfigReader {
  // widths, and heads times width
  private static final int MAX_SIZE = 1 << 24;
  private static final int MAX_TOKENS = 1 << 30; // vocabulary and context
  private static final int MAX_LAYERS = 1 << 14;
  private static final int MAX_EXPERTS = 1 << 16;
  private static final double MAX_NUMBER = 1e12;

  /** Families whose layers have experts even if there is only one expert. */
  private static final Set<String> ALWAYS_EXPERTS =
      Set.of(
          "mixtral", "olmoe", "gpt_oss", "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2");

  private final ConfigObject config;
  private final String modelType;
  private final int hiddenSize;
  private final int numLayers;
  private final int contextLength;

  private ModelConfigReader(ConfigObject config) {
    this.config = config;
    modelType = config.requireText("model_type");
    hiddenSize = config.integer(1, MAX_SIZE, "hidden_size");
    numLayers = config.integer(1, MAX_LAYERS, "num_hidden_layers");
    contextLength = config.integer(1, MAX_TOKENS, "max_position_embeddings");
  }

  static ModelConfig read(Path path) {
    Path found = ModelFolder.resolve(path);
    Path file = Files.isDirectory(found) ? found.resolve("config.json") : found;
    ConfigObject config = new ConfigObject(file, Json.readTree(file));
    ConfigObject text =
        config.has("hidden_size")
            ? null
            : config.object("text_config"); // models that also read images
    List<Integer> stopTokens = List.of();
    Path generation = file.resolveSibling("generation_config.json");
    if (CheckpointFile.isThere(generation))
      stopTokens = tokens(new ConfigObject(generation, Json.readTree(generation)), "eos_token_id");
    return new ModelConfigReader(text == null ? config : text.over(config)).model(stopTokens);
  }

  private ModelConfig model(List<Integer> stopTokens) {
    ModelConfig.Experts experts = experts();
    boolean allSparse = experts != null && !experts.sparseLayers().contains(false);
    int intermediateSize =
        allSparse
            ? config.integerOr(0, 0, MAX_SIZE, "intermediate_size")
            : config.integer(1, MAX_SIZE, "intermediate_size");
    ModelConfig.LatentAttention latent = latentAttention();
    ConfigObject quantization = config.object("quantization_config");
    return new ModelConfig(
        config.file(),
        modelType,
        config.texts("architectures"),
        config.textOrNull("dtype", "torch_dtype"),
        config.integer(1, MAX_TOKENS, "vocab_size"),
        hiddenSize,
        intermediateSize,
        numLayers,
        contextLength,
        config.number(null, Double.MIN_VALUE, 1, "rms_norm_eps", "layer_norm_eps", "norm_eps"),
        config.text("silu", "hidden_act", "hidden_activation"),
        config.flag(false, "tie_word_embeddings"),
        config.flag(false, "mlp_bias"),
        layerTypes(),
        attention(latent),
        latent,
        indexer(),
        rope(),
        experts,
        quantization == null ? null : quantization.requireText("quant_method"),
        tokens(config, "bos_token_id"),
        stopTokens.isEmpty() ? tokens(config, "eos_token_id") : stopTokens);
  }

  private static List<Integer> tokens(ConfigObject config, String key) {
    return config.integers(0, Integer.MAX_VALUE, key);
  }

  private List<String> layerTypes() {
    List<String> types = config.texts("layer_types");
    if (!types.isEmpty() && types.size() != numLayers)
      throw config.fault("layer_types", "a list of " + numLayers, types);
    return types;
  }

  private ModelConfig.Attention attention(ModelConfig.@Nullable LatentAttention latent) {
    int numHeads = config.integer(1, MAX_SIZE, "num_attention_heads");
    int numKvHeads = config.integerOr(numHeads, 1, numHeads, "num_key_value_heads");
    if (numHeads % numKvHeads != 0)
      throw config.fault(
          "num_key_value_heads", "a divisor of " + numHeads + " query heads", numKvHeads);
    int headDim;
    if (latent != null) {
      headDim = latent.nopeDim() + latent.ropeDim();
    } else if (config.has("head_dim")) {
      headDim = config.integer(1, MAX_SIZE, "head_dim");
    } else {
      if (hiddenSize % numHeads != 0)
        throw config.fault(
            "hidden_size",
            "a multiple of " + numHeads + " heads, as head_dim is not given",
            hiddenSize);
      headDim = hiddenSize / numHeads;
    }
    if (latent == null && headDim % 2 != 0)
      throw config.fault("head_dim", "an even width, as pairs are rotated", headDim);
    if ((long) numHeads * headDim > MAX_SIZE)
      throw config.fault(
          "num_attention_heads",
          "at most " + MAX_SIZE / headDim + " heads of " + headDim,
          numHeads);
    boolean outputBias = config.flag(modelType.equals("gpt_oss"), "attention_bias");
    boolean qkvBias =
        config.flag(
            outputBias || modelType.equals("qwen2_moe") || modelType.equals("qwen2"), "qkv_bias");
    Double clip = config.numberOrNull(0, MAX_NUMBER, "clip_qkv");
    return new ModelConfig.Attention(
        numHeads,
        numKvHeads,
        headDim,
        qkvBias,
        outputBias,
        clip == null ? 0 : clip,
        slidingWindows());
  }

  private List<Integer> slidingWindows() {
    boolean qwen = modelType.startsWith("qwen");
    int window =
        config.flag(!qwen, "use_sliding_window")
            ? config.integerOr(0, 0, MAX_TOKENS, "sliding_window")
            : 0;
    int windowLayers = config.integerOr(28, 0, MAX_SIZE, "max_window_layers");
    List<String> types = layerTypes();
    List<Integer> windows = new ArrayList<>();
    for (int layer = 0; layer < numLayers; layer++) {
      boolean slides =
          types.isEmpty()
              ? slides(layer, windowLayers)
              : types.get(layer).equals("sliding_attention");
      if (slides && window == 0 && !types.isEmpty())
        throw config.fault("sliding_window", "a width, as layer_types names sliding layers", null);
      windows.add(slides ? window : 0);
    }
    return List.copyOf(windows);
  }

  /**
   * Whether a layer has a sliding window if {@code layer_types} is not given. This follows each
   * family's own code; other families have no sliding windows.
   */
  private boolean slides(int layer, int windowLayers) {
    return switch (modelType) {
      case "mixtral", "mistral", "qwen3_moe" -> true;
      case "qwen2", "qwen3" -> layer >= windowLayers;
      case "qwen2_moe" -> layer % 2 == 0 && layer < windowLayers;
      case "gpt_oss" -> layer % 2 == 0;
      default -> false;
    };
  }

  private ModelConfig.@Nullable LatentAttention latentAttention() {
    if (!config.has("kv_lora_rank")) return null;
    int ropeDim = config.integer(2, MAX_SIZE, "qk_rope_head_dim");
    if (ropeDim % 2 != 0)
      throw config.fault("qk_rope_head_dim", "an even width, as pairs are rotated", ropeDim);
    return new ModelConfig.LatentAttention(
        config.integerOr(0, 1, MAX_SIZE, "q_lora_rank"),
        config.integer(1, MAX_SIZE, "kv_lora_rank"),
        config.integer(1, MAX_SIZE, "qk_nope_head_dim"),
        ropeDim,
        config.integer(1, MAX_SIZE, "v_head_dim"),
        config.flag(true, "rope_interleave"));
  }

  private ModelConfig.@Nullable Indexer indexer() {
    if (!config.has("index_topk")) return null;
    return new ModelConfig.Indexer(
        config.integer(1, MAX_SIZE, "index_n_heads"),
        config.integer(1, MAX_SIZE, "index_head_dim"),
        config.integer(1, MAX_TOKENS, "index_topk"));
  }

  /**
   * New configurations give all values in {@code rope_parameters}. Old ones give {@code
   * rope_theta}, and {@code rope_scaling} if the context is extended.
   */
  private ModelConfig.Rope rope() {
    ConfigObject parameters = config.object("rope_parameters");
    ConfigObject scaling = parameters != null ? parameters : config.object("rope_scaling");
    double theta =
        (parameters != null && parameters.has("rope_theta") ? parameters : config)
            .number(defaultTheta(), Math.nextUp(1.0), MAX_NUMBER, "rope_theta");
    double partial =
        (parameters != null && parameters.has("partial_rotary_factor") ? parameters : config)
            .number(1.0, 0, 1, "partial_rotary_factor");
    String type =
        scaling == null
            ? "default"
            : scaling.has("rope_type")
                ? scaling.requireText("rope_type")
                : scaling.text("default", "type");
    if (scaling == null && modelType.equals("gpt_oss")) {
      // By default, the family's own code extends a context of 4096 tokens.
      return new ModelConfig.Rope(
          "yarn", theta, 32, 4096, null, null, 32.0, 1.0, false, null, null, null, partial);
    }
    if (scaling == null || type.equals("default")) {
      return new ModelConfig.Rope(
          "default",
          theta,
          1,
          contextLength,
          null,
          null,
          null,
          null,
          true,
          null,
          null,
          null,
          partial);
    }
    boolean llama3 = type.equals("llama3");
    boolean yarn = type.equals("yarn");
    boolean computed = llama3 || yarn || type.equals("linear");
    Double factor = scaling.number(computed ? null : 1.0, Double.MIN_NORMAL, MAX_NUMBER, "factor");
    int original =
        llama3
            ? scaling.integer(1, MAX_TOKENS, "original_max_position_embeddings")
            : scaling.integerOr(contextLength, 1, MAX_TOKENS, "original_max_position_embeddings");
    Double lowFactor =
        llama3 ? scaling.number(null, Double.MIN_NORMAL, MAX_NUMBER, "low_freq_factor") : null;
    Double highFactor =
        llama3 ? scaling.number(null, Double.MIN_NORMAL, MAX_NUMBER, "high_freq_factor") : null;
    if (lowFactor != null && highFactor != null && highFactor <= lowFactor)
      throw scaling.fault(
          "high_freq_factor", "more than low_freq_factor, " + lowFactor, highFactor);
    return new ModelConfig.Rope(
        type,
        theta,
        factor,
        original,
        lowFactor,
        highFactor,
        yarn ? scaling.number(32.0, Double.MIN_NORMAL, MAX_NUMBER, "beta_fast") : null,
        yarn ? scaling.number(1.0, Double.MIN_NORMAL, MAX_NUMBER, "beta_slow") : null,
        !yarn || scaling.flag(true, "truncate"),
        yarn ? scaling.numberOrNull(0, MAX_NUMBER, "attention_factor") : null,
        yarn ? scaling.numberOrNull(0, MAX_NUMBER, "mscale") : null,
        yarn ? scaling.numberOrNull(0, MAX_NUMBER, "mscale_all_dim") : null,
        partial);
  }

  private double defaultTheta() {
    return switch (modelType) {
      case "mixtral" -> 1e6;
      case "gpt_oss" -> 150_000;
      default -> 10_000;
    };
  }

  private ModelConfig.@Nullable Experts experts() {
    String[] spellings = {
      "num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts"
    };
    boolean always = ALWAYS_EXPERTS.contains(modelType) || modelType.endsWith("_moe");
    int numExperts =
        always
            ? config.integer(1, MAX_EXPERTS, spellings)
            : config.integerOr(0, 0, MAX_EXPERTS, spellings);
    if (!always && numExperts <= 1) return null;
    boolean deepseekV3 = modelType.startsWith("deepseek_v3") || modelType.equals("kimi_k2");
    boolean renormalise = deepseekV3 || modelType.equals("mixtral") || modelType.equals("gpt_oss");
    int topK =
        config.integer(
            1,
            MAX_EXPERTS,
            "num_experts_per_tok",
            "experts_per_token",
            "num_experts_per_token",
            "moe_top_k",
            "moe_k");
    if (topK > numExperts)
      throw config.fault(
          "num_experts_per_tok", "at most " + numExperts + " experts per token", topK);
    int intermediateSize =
        config.has("moe_intermediate_size")
            ? config.integer(1, MAX_SIZE, "moe_intermediate_size")
            : config.integer(1, MAX_SIZE, "intermediate_size");
    int numGroups = config.integerOr(1, 1, numExperts, "n_group");
    if (numExperts % numGroups != 0)
      throw config.fault("n_group", "a divisor of " + numExperts + " experts", numGroups);
    int topGroups = config.integerOr(numGroups, 1, numGroups, "topk_group");
    if ((long) numExperts / numGroups * topGroups < topK)
      throw config.fault("topk_group", "enough groups for " + topK + " experts", topGroups);
    int shared =
        config.integerOr(
            0, 0, MAX_EXPERTS, "n_shared_experts", "num_shared_experts", "moe_num_shared_experts");
    boolean sharedGate = config.integerOr(0, 0, MAX_SIZE, "shared_expert_intermediate_size") > 0;
    long sharedSize =
        sharedGate
            ? config.integer(0, MAX_SIZE, "shared_expert_intermediate_size")
            : (long) shared * intermediateSize;
    if (sharedSize > MAX_SIZE)
      throw config.fault(
          "n_shared_experts", "shared experts of at most " + MAX_SIZE + " units", shared);
    return new ModelConfig.Experts(
        numExperts,
        topK,
        intermediateSize,
        config.flag(renormalise, "norm_topk_prob"),
        config.number(1.0, Double.MIN_NORMAL, MAX_NUMBER, "routed_scaling_factor"),
        config.text(deepseekV3 ? "sigmoid" : "softmax", "scoring_func"),
        config.text(deepseekV3 ? "noaux_tc" : "greedy", "topk_method"),
        numGroups,
        topGroups,
        (int) sharedSize,
        sharedGate,
        config.number(7.0, Double.MIN_NORMAL, MAX_NUMBER, "swiglu_limit"),
        config.number(1.702, Double.MIN_NORMAL, MAX_NUMBER, "swiglu_alpha"),
        sparseLayers());
  }

  /**
   * Which layers have experts. DeepSeek gives the number of dense first layers and a frequency,
   * Qwen a step and a list of dense layers. Other configurations name the type of each layer.
   */
  private List<Boolean> sparseLayers() {
    List<String> types = config.texts("mlp_layer_types");
    if (!types.isEmpty() && types.size() != numLayers)
      throw config.fault("mlp_layer_types", "a list of " + numLayers, types);
    int firstSparse = config.integerOr(0, 0, MAX_LAYERS, "first_k_dense_replace");
    int frequency = config.integerOr(1, 1, MAX_LAYERS, "moe_layer_freq");
    int step = config.integerOr(1, 1, MAX_LAYERS, "decoder_sparse_step");
    Set<Integer> dense = new HashSet<>(config.integers(0, numLayers - 1, "mlp_only_layers"));
    List<Boolean> sparse = new ArrayList<>();
    for (int layer = 0; layer < numLayers; layer++) {
      boolean counted =
          layer >= firstSparse
              && layer % frequency == 0
              && (layer + 1) % step == 0
              && !dense.contains(layer);
      sparse.add(types.isEmpty() ? counted : types.get(layer).equals("sparse"));
    }
    return List.copyOf(sparse);
  }
}
