package org.winnow.models;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

/**
 * What a report needs of a {@code config.json}. A configuration that {@link ModelConfig} does not
 * understand, because its family is foreign or a value is wrong, still tells some of it.
 *
 * @param config null if the configuration is missing or not understood as a whole
 * @param modelType null if not known
 * @param numLayers 0 if not known, as the other numbers
 * @param furtherLayers number of layers after the last one that predict further tokens
 * @param topK number of experts per token
 * @param bits bits per quantised weight
 * @param groupSize quantised weights per scale
 * @param remarks what was not understood
 */
record ConfigFacts(
    @Nullable ModelConfig config,
    @Nullable String modelType,
    int numLayers,
    int furtherLayers,
    int contextLength,
    int hiddenSize,
    int numExperts,
    int topK,
    int expertSize,
    int bits,
    int groupSize,
    List<String> remarks) {

  /** Keys of objects that describe the language model in a larger model, or a part of it. */
  private static final String[] PARTS = {
    "text_config", "language_config", "llm_config", "thinker_config", "ffn_config", "moe_config"
  };

  private static final String[] QUANTIZATIONS = {"quantization_config", "quantization"};

  /** Where there is no configuration. */
  static ConfigFacts none(String remark) {
    return new ConfigFacts(null, null, 0, 0, 0, 0, 0, 0, 0, 0, 0, List.of(remark));
  }

  /**
   * The type of the decoder that the {@code config.json} of a folder describes, even if a value in
   * it is wrong; null if it names none.
   */
  static @Nullable String decoderType(Path folder) {
    Map<String, @Nullable Object> values = Json.readTree(folder.resolve("config.json"));
    List<Map<?, ?>> objects = new ArrayList<>();
    if (values.get("hidden_size") == null) addWithParts(values, objects);
    else objects.add(values);
    for (Map<?, ?> object : objects)
      if (object.get("model_type") instanceof String type) return Json.quote(type);
    return null;
  }

  /** Reads the {@code config.json} of a folder. */
  static ConfigFacts in(Path folder) {
    Path file = folder.resolve("config.json");
    if (!CheckpointFile.isThere(file)) return none("there is no config.json");
    Map<String, @Nullable Object> values;
    try {
      values = Json.readTree(file);
    } catch (CheckpointException e) {
      return none("config.json cannot be read: " + e.getMessage());
    }
    List<String> remarks = new ArrayList<>();
    ModelConfig config = null;
    try {
      config = ModelConfig.read(file);
    } catch (CheckpointException | UnsupportedFormatException e) {
      String reason = String.valueOf(e.getMessage());
      String place = file + ": ";
      remarks.add(
          "config.json is not understood: "
              + (reason.startsWith(place) ? reason.substring(place.length()) : reason));
    }
    List<Map<?, ?>> objects = new ArrayList<>();
    addWithParts(values, objects);
    List<Map<?, ?>> quantizations = new ArrayList<>();
    for (Map<?, ?> object : objects) {
      for (String key : QUANTIZATIONS)
        if (object.get(key) instanceof Map<?, ?> found) addWithParts(found, quantizations);
    }
    return facts(config, objects, quantizations, List.copyOf(remarks));
  }

  private static ConfigFacts facts(
      @Nullable ModelConfig config,
      List<Map<?, ?>> objects,
      List<Map<?, ?>> quantizations,
      List<String> remarks) {
    boolean known = config != null && Family.of(config.modelType()).isSupported();
    ModelConfig.Experts experts = config != null && known ? config.experts() : null;
    boolean dense = known && experts == null;
    return new ConfigFacts(
        config,
        config != null ? config.modelType() : text(objects, "model_type"),
        config != null
            ? config.numLayers()
            : number(objects, "num_hidden_layers", "n_layer", "n_layers", "num_layers"),
        number(objects, "num_nextn_predict_layers", "num_mtp_layers", "mtp_num_hidden_layers"),
        config != null
            ? config.contextLength()
            : number(
                objects,
                "max_position_embeddings",
                "n_positions",
                "max_seq_len",
                "max_sequence_length",
                "n_ctx",
                "seq_length"),
        config != null
            ? config.hiddenSize()
            : number(objects, "hidden_size", "n_embd", "d_model", "dim"),
        dense
            ? 0
            : experts != null
                ? experts.numExperts()
                : number(
                    objects,
                    "num_local_experts",
                    "n_routed_experts",
                    "num_experts",
                    "moe_num_experts",
                    "num_routed_experts",
                    "num_moe_experts",
                    "n_experts"),
        dense
            ? 0
            : experts != null
                ? experts.topK()
                : number(
                    objects,
                    "num_experts_per_tok",
                    "num_experts_per_token",
                    "experts_per_token",
                    "top_k_experts",
                    "moe_top_k",
                    "moe_topk",
                    "moe_k",
                    "moe_router_topk",
                    "num_selected_experts",
                    "topk"),
        experts != null
            ? experts.intermediateSize()
            : number(objects, "moe_intermediate_size", "expert_ffn_hidden_size", "ffn_hidden_size"),
        number(quantizations, "bits", "num_bits", "w_bit"),
        number(quantizations, "group_size"),
        remarks);
  }

  /**
   * Appends the objects inside that describe a part, then the object itself: a key of the language
   * model comes before one of the whole.
   */
  private static void addWithParts(Map<?, ?> object, List<Map<?, ?>> objects) {
    for (String part : PARTS)
      if (object.get(part) instanceof Map<?, ?> found) addWithParts(found, objects);
    // compressed-tensors: config_groups.group_0.weights
    if (object.get("config_groups") instanceof Map<?, ?> groups) {
      for (Object group : groups.values())
        if (group instanceof Map<?, ?> map && map.get("weights") instanceof Map<?, ?> weights)
          objects.add(weights);
    }
    objects.add(object);
  }

  /** The first positive integer under one of these keys, or 0. */
  private static int number(List<Map<?, ?>> objects, String... keys) {
    for (Map<?, ?> object : objects) {
      for (String key : keys) {
        Object value = object.get(key);
        if (value instanceof List<?> list && !list.isEmpty()) {
          Object first = list.get(0);
          if (list.stream().allMatch(entry -> Objects.equals(entry, first))) value = first;
        }
        if (value instanceof Long number && number > 0 && number <= Integer.MAX_VALUE)
          return number.intValue();
      }
    }
    return 0;
  }

  private static @Nullable String text(List<Map<?, ?>> objects, String key) {
    // the type of the whole model, not of a part of it, which comes first
    Object value = objects.get(objects.size() - 1).get(key);
    return value instanceof String text ? Json.quote(text) : null;
  }
}
