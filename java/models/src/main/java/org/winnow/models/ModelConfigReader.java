package org.winnow.models;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * Reads a {@link ModelConfig}: first the keys, as the {@link ConfigTable} of the family says, then
 * what follows from several of them.
 */
final class ModelConfigReader {
  private static final int MAX_SIZE = LlamaTable.SIZE.most();

  /** Keys that models for images and text give once for both. */
  private static final String[] SHARED = {
    "tie_word_embeddings",
    "eos_token_id",
    "bos_token_id",
    "quantization_config",
    "dtype",
    "torch_dtype",
    "architectures"
  };

  private final ConfigObject config;
  private final @Nullable String wrapperType;
  private final String modelType;
  private final Family family;
  private final ConfigValues values;
  private final int hiddenSize;
  private final int numLayers;

  private ModelConfigReader(ConfigObject config, @Nullable String wrapperType) {
    this.config = config;
    this.wrapperType = wrapperType;
    modelType = config.requireText("model_type");
    family = Family.of(modelType);
    values = family.table().read(config);
    hiddenSize = values.require(ConfigKey.HIDDEN_SIZE);
    numLayers = values.require(ConfigKey.NUM_LAYERS);
  }

  static ModelConfig read(Path path) {
    Path found = ModelFolder.resolve(path);
    Path file = Files.isDirectory(found) ? found.resolve("config.json") : found;
    ConfigObject config = new ConfigObject(file, Json.readTree(file));
    List<Integer> stopTokens = List.of();
    Path generation = file.resolveSibling(GenerationDefaults.FILE);
    if (CheckpointFile.isThere(generation))
      stopTokens = GenerationConfigReader.of(generation).stopTokens();
    return reader(config).model(stopTokens);
  }

  /** A model that also reads images has the configuration of its decoder in an object. */
  private static ModelConfigReader reader(ConfigObject config) {
    if (!config.has("hidden_size")) {
      for (String key : new String[] {"text_config", "llm_config", "language_config"}) {
        ConfigObject text = config.object(key);
        if (text != null)
          return new ModelConfigReader(
              text.withMissing(config, SHARED), config.text("", "model_type"));
      }
    }
    return new ModelConfigReader(config, null);
  }

  private ModelConfig model(List<Integer> stopTokens) {
    ModelConfig.Experts experts = experts();
    ModelConfig.LatentAttention latent = latentAttention();
    List<Integer> windows = slidingWindows();
    ModelConfig.Rope rope = RopeReader.read(values, family.defaultRope(), layerKinds(windows));
    boolean allSparse = experts != null && !experts.sparseLayers().contains(false);
    return new ModelConfig(
        config.file(),
        modelType,
        wrapperType,
        config.textsOrNone("architectures"),
        config.firstText("dtype", "torch_dtype"),
        values.require(ConfigKey.VOCABULARY_SIZE),
        hiddenSize,
        allSparse
            ? values.or(ConfigKey.INTERMEDIATE_SIZE, 0)
            : values.require(ConfigKey.INTERMEDIATE_SIZE),
        numLayers,
        contextLength(rope),
        values.require(ConfigKey.EPSILON),
        values.require(ConfigKey.ACTIVATION),
        values.isTrue(ConfigKey.TIED),
        values.isTrue(ConfigKey.MLP_BIAS),
        values.or(ConfigKey.LAYER_TYPES, List.of()),
        attention(latent, windows),
        latent,
        indexer(),
        rope,
        experts,
        values.or(ConfigKey.FURTHER_LAYERS, 0),
        quantization(),
        tokensOrNone("bos_token_id"),
        stopTokens.isEmpty() ? config.tokens("eos_token_id") : stopTokens,
        List.copyOf(values.unsupported()));
  }

  /** Ids that only inform; a value that is no id, such as -1, means none. */
  private List<Integer> tokensOrNone(String key) {
    Object json = Objects.requireNonNullElse(config.get(key), List.of());
    List<Integer> ids =
        new ConfigType.Wholes(0, Integer.MAX_VALUE)
            .read(json instanceof List ? json : List.of(json));
    return ids == null ? List.of() : ids;
  }

  /** The method that the configuration names. Whether weights are quantised, the tensors say. */
  private @Nullable String quantization() {
    if (!config.isObject("quantization_config")) return null;
    ConfigObject quantization = config.object("quantization_config");
    return quantization == null ? null : quantization.firstText("quant_method");
  }

  /**
   * The context that the scaled rope reaches, as serving engines derive it. Llama 3 counts it in
   * {@code max_position_embeddings} already.
   */
  private int contextLength(ModelConfig.Rope rope) {
    int given = values.require(ConfigKey.MAX_POSITIONS);
    double scaled =
        switch (rope.type()) {
          case "yarn" -> rope.factor() * rope.originalContextLength();
          case "linear" -> rope.factor() * given;
          default -> given;
        };
    return Math.max(given, (int) Math.min(scaled, LlamaTable.TOKENS.most()));
  }

  private ModelConfig.Attention attention(
      ModelConfig.@Nullable LatentAttention latent, List<Integer> windows) {
    int numHeads = values.require(ConfigKey.NUM_HEADS);
    int numKvHeads = values.or(ConfigKey.NUM_KV_HEADS, numHeads);
    if (numKvHeads > numHeads || numHeads % numKvHeads != 0)
      throw values.fault(
          ConfigKey.NUM_KV_HEADS, "a divisor of " + numHeads + " query heads", numKvHeads);
    int headDim = latent != null ? latent.nopeDim() + latent.ropeDim() : headDim(numHeads);
    if ((long) numHeads * headDim > MAX_SIZE)
      throw values.fault(
          ConfigKey.NUM_HEADS, "at most " + MAX_SIZE / headDim + " heads of " + headDim, numHeads);
    boolean outputBias = values.isTrue(ConfigKey.ATTENTION_BIAS);
    return new ModelConfig.Attention(
        numHeads,
        numKvHeads,
        headDim,
        outputBias || values.isTrue(ConfigKey.QKV_BIAS),
        outputBias,
        values.or(ConfigKey.CLIP, 0.0),
        windows);
  }

  private int headDim(int numHeads) {
    Integer given = values.get(ConfigKey.HEAD_DIM);
    if (given == null && hiddenSize % numHeads != 0)
      throw values.fault(
          ConfigKey.HIDDEN_SIZE,
          "a multiple of " + numHeads + " heads, as head_dim is not given",
          hiddenSize);
    int headDim = given == null ? hiddenSize / numHeads : given;
    if (headDim > LlamaTable.HEAD.most())
      throw values.fault(
          ConfigKey.NUM_HEADS, "heads of at most " + LlamaTable.HEAD.most() + " columns", numHeads);
    if (headDim % 2 != 0)
      throw values.fault(ConfigKey.HEAD_DIM, "an even width, as pairs are rotated", headDim);
    return headDim;
  }

  /**
   * The window of each layer. Where the family's code reads {@code layer_types}, these decide;
   * where it does not, they must agree with it.
   */
  private List<Integer> slidingWindows() {
    int window = values.or(ConfigKey.SLIDING_WINDOW, 0);
    if (values.get(ConfigKey.USE_SLIDING_WINDOW) != null
        && !values.isTrue(ConfigKey.USE_SLIDING_WINDOW)) window = 0;
    List<String> types = values.or(ConfigKey.LAYER_TYPES, List.of());
    if (!types.isEmpty() && types.size() != numLayers)
      throw values.fault(ConfigKey.LAYER_TYPES, "a list of " + numLayers, types);
    List<Integer> windows = new ArrayList<>();
    for (int layer = 0; layer < numLayers; layer++) {
      boolean named = !types.isEmpty() && types.get(layer).equals("sliding_attention");
      boolean own = window > 0 && family.slides(values, layer);
      if (types.isEmpty() || !family.hasLayerTypes()) {
        if (!types.isEmpty() && named != own && family.isSupported())
          throw values.fault(
              ConfigKey.LAYER_TYPES,
              (own ? "a sliding" : "a full") + " layer " + layer + ", as in " + modelType,
              types.get(layer));
        windows.add(own ? window : 0);
        continue;
      }
      if (named && window == 0) throw noWindow();
      windows.add(named ? window : 0);
    }
    return List.copyOf(windows);
  }

  private CheckpointException noWindow() {
    String reason = ", as layer_types names sliding layers";
    return values.or(ConfigKey.USE_SLIDING_WINDOW, true)
        ? values.fault(
            ConfigKey.SLIDING_WINDOW, "a width" + reason, values.get(ConfigKey.SLIDING_WINDOW))
        : values.fault(ConfigKey.USE_SLIDING_WINDOW, "true" + reason, false);
  }

  /** The types of layers that the model has, for values that are given by type. */
  private Set<String> layerKinds(List<Integer> windows) {
    Set<String> kinds = new LinkedHashSet<>(values.or(ConfigKey.LAYER_TYPES, List.of()));
    if (kinds.isEmpty())
      for (int window : windows) kinds.add(window > 0 ? "sliding_attention" : "full_attention");
    return kinds;
  }

  private ModelConfig.@Nullable LatentAttention latentAttention() {
    Integer rank = values.get(ConfigKey.LATENT_RANK);
    if (rank == null) return null;
    int ropeDim = values.require(ConfigKey.ROPE_DIM);
    if (ropeDim % 2 != 0)
      throw values.fault(ConfigKey.ROPE_DIM, "an even width, as pairs are rotated", ropeDim);
    return new ModelConfig.LatentAttention(
        values.or(ConfigKey.QUERY_RANK, 0),
        rank,
        values.require(ConfigKey.NOPE_DIM),
        ropeDim,
        values.require(ConfigKey.VALUE_DIM),
        values.isTrue(ConfigKey.ROPE_INTERLEAVE));
  }

  private ModelConfig.@Nullable Indexer indexer() {
    Integer topK = values.get(ConfigKey.INDEX_TOP_K);
    return topK == null
        ? null
        : new ModelConfig.Indexer(
            values.require(ConfigKey.INDEX_HEADS), values.require(ConfigKey.INDEX_DIM), topK);
  }

  private ModelConfig.@Nullable Experts experts() {
    int numExperts = values.or(ConfigKey.NUM_EXPERTS, 0);
    if (numExperts == 0) return null;
    int topK = values.require(ConfigKey.TOP_K);
    if (topK > numExperts)
      throw values.fault(ConfigKey.TOP_K, "at most " + numExperts + " experts per token", topK);
    Integer own = values.get(ConfigKey.EXPERT_SIZE);
    int size = own != null ? own : values.require(ConfigKey.INTERMEDIATE_SIZE);
    int numGroups = values.or(ConfigKey.NUM_GROUPS, 1);
    return new ModelConfig.Experts(
        numExperts,
        topK,
        size,
        values.or(ConfigKey.NORM_TOP_K, true),
        values.or(ConfigKey.SCALING_FACTOR, 1.0),
        values.or(ConfigKey.SCORING, "softmax"),
        values.or(ConfigKey.METHOD, "greedy"),
        numGroups,
        topGroups(numExperts, numGroups, topK),
        sharedSize(size),
        values.get(ConfigKey.SHARED_SIZE) != null,
        values.or(ConfigKey.SWIGLU_LIMIT, 7.0),
        values.or(ConfigKey.SWIGLU_ALPHA, 1.702),
        sparseLayers());
  }

  private int topGroups(int numExperts, int numGroups, int topK) {
    if (numExperts % numGroups != 0)
      throw values.fault(
          ConfigKey.NUM_GROUPS, "a divisor of " + numExperts + " experts", numGroups);
    int topGroups = values.or(ConfigKey.TOP_GROUPS, numGroups);
    if (topGroups > numGroups)
      throw values.fault(ConfigKey.TOP_GROUPS, "at most " + numGroups + " groups", topGroups);
    if ((long) numExperts / numGroups * topGroups < topK)
      throw values.fault(ConfigKey.TOP_GROUPS, "enough groups for " + topK + " experts", topGroups);
    return topGroups;
  }

  private int sharedSize(int expertSize) {
    Integer size = values.get(ConfigKey.SHARED_SIZE);
    if (size != null) return size;
    int shared = values.or(ConfigKey.NUM_SHARED, 0);
    if ((long) shared * expertSize > MAX_SIZE)
      throw values.fault(
          ConfigKey.NUM_SHARED, "shared experts of at most " + MAX_SIZE + " units", shared);
    return shared * expertSize;
  }

  /**
   * Which layers have experts. DeepSeek gives the number of dense first layers and a frequency,
   * Qwen a step and a list of dense layers. Other configurations name the type of each layer.
   */
  private List<Boolean> sparseLayers() {
    List<String> types = values.or(ConfigKey.MLP_TYPES, List.of());
    if (!types.isEmpty() && types.size() != numLayers)
      throw values.fault(ConfigKey.MLP_TYPES, "a list of " + numLayers, types);
    int firstSparse = values.or(ConfigKey.FIRST_DENSE, 0);
    int frequency = values.or(ConfigKey.LAYER_FREQUENCY, 1);
    int step = values.or(ConfigKey.SPARSE_STEP, 1);
    Set<Integer> dense = new HashSet<>(values.or(ConfigKey.DENSE_LAYERS, List.of()));
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
