package org.winnow.models;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.op.SamplerOptions;

/**
 * Reads a {@code generation_config.json}. This is the table of its keys:
 *
 * <pre>
 * key                 absent or null       valid              meaning
 * do_sample           false                true, false        false: the most probable token
 * temperature         1                    0 to 1e12          0: the most probable token
 * top_k               50                   0 to 2^31 - 1      0: all tokens
 * top_p               1                    0 to 1             0: only the most probable token
 * min_p               0                    0 to 1
 * repetition_penalty  1                    1e-30 to 1e30      also without do_sample
 * max_new_tokens      none                 1 to 2^31 - 2
 * eos_token_id        that of config.json  ids from -1        one id or a list; -1: none
 * stop_strings        none                 no empty strings   one string or a list
 * </pre>
 *
 * No key has another spelling. {@link #NEUTRAL} lists the keys that would change the text and are
 * not computed. All other keys have no effect on the text or describe padding, caches and outputs.
 */
final class GenerationConfigReader {
  private static final double MAX_NUMBER = 1e12;
  private static final double MAX_PENALTY = 1e30; // its f32 and that of its inverse are normal

  /** Keys that are not computed, with the value, beside null, that has no effect. */
  static final Map<String, Object> NEUTRAL = neutral();

  /** Keys that only sampling uses, with the value that has no effect. */
  static final Map<String, Object> SAMPLING = sampling();

  private final ConfigObject config;
  private final Map<String, @Nullable Object> values;

  private GenerationConfigReader(Path file, Map<String, @Nullable Object> values) {
    this.values = values;
    config = new ConfigObject(file, values);
  }

  static GenerationConfigReader of(Path file) {
    return new GenerationConfigReader(file, Json.readTree(file));
  }

  private static Map<String, Object> neutral() {
    Map<String, Object> neutral = new LinkedHashMap<>();
    for (String key :
        List.of("num_beams", "num_beam_groups", "num_return_sequences", "guidance_scale"))
      neutral.put(key, 1L);
    for (String key : List.of("typical_p", "encoder_repetition_penalty")) neutral.put(key, 1L);
    for (String key :
        List.of(
            "penalty_alpha",
            "epsilon_cutoff",
            "eta_cutoff",
            "diversity_penalty",
            "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size",
            "min_length",
            "min_new_tokens")) neutral.put(key, 0L);
    for (String key :
        List.of(
            "bad_words_ids",
            "force_words_ids",
            "constraints",
            "sequence_bias",
            "suppress_tokens",
            "begin_suppress_tokens")) neutral.put(key, List.of());
    for (String key : List.of("remove_invalid_values", "token_healing")) neutral.put(key, false);
    for (String key :
        List.of(
            "max_length",
            "max_time",
            "top_h",
            "dola_layers",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "exponential_decay_length_penalty",
            "watermarking_config")) neutral.put(key, "");
    return neutral;
  }

  private static Map<String, Object> sampling() {
    Map<String, Object> sampling = new LinkedHashMap<>(); // told in this order
    sampling.put("temperature", 1L);
    sampling.put("top_k", 50L);
    sampling.put("top_p", 1L);
    sampling.put("min_p", 0L);
    return sampling;
  }

  GenerationDefaults defaults() {
    double temperature = config.number(1.0, 0, MAX_NUMBER, "temperature");
    // some engines write -1 for all tokens, others 0
    int topK = Math.max(0, config.integerOr(50, -1, Integer.MAX_VALUE, "top_k"));
    // a share of nothing keeps the most probable token, as the least positive share does
    double topP = Math.max(Double.MIN_VALUE, config.number(1.0, 0, 1, "top_p"));
    double minP = config.number(0.0, 0, 1, "min_p");
    double penalty = config.number(1.0, 1 / MAX_PENALTY, MAX_PENALTY, "repetition_penalty");
    boolean samples = config.flag(false, "do_sample");
    int maxTokens = config.integerOr(0, 1, Integer.MAX_VALUE - 1, "max_new_tokens");
    return new GenerationDefaults(
        config.file(),
        samples && temperature > 0
            ? new SamplerOptions(temperature, topK, topP, minP, penalty)
            : SamplerOptions.greedy().withRepetitionPenalty(penalty),
        maxTokens == 0 ? null : Integer.valueOf(maxTokens),
        stopTokens(),
        stopTexts(),
        ignored(samples));
  }

  /** The ids of {@code eos_token_id}; may be empty. */
  List<Integer> stopTokens() {
    return config.tokens("eos_token_id");
  }

  private List<String> stopTexts() {
    List<String> texts =
        values.get("stop_strings") instanceof String text
            ? List.of(text)
            : config.texts("stop_strings");
    if (texts.contains("")) throw config.fault("stop_strings", "no empty string", "");
    return texts;
  }

  private List<String> ignored(boolean samples) {
    List<String> ignored = new ArrayList<>();
    NEUTRAL.forEach(
        (key, neutral) -> {
          if (changes(key, neutral)) ignored.add(describe(key));
        });
    if (samples) return ignored;
    SAMPLING.forEach(
        (key, neutral) -> {
          if (changes(key, neutral)) ignored.add(describe(key) + ", as do_sample is not true");
        });
    return ignored;
  }

  private boolean changes(String key, Object neutral) {
    Object value = values.get(key);
    if (value == null) return false;
    if (value instanceof Number number && neutral instanceof Number least)
      return number.doubleValue() != least.doubleValue();
    if (value instanceof Map<?, ?> map && neutral instanceof List) return !map.isEmpty();
    return !value.equals(neutral);
  }

  private String describe(String key) {
    Object value = Objects.requireNonNull(values.get(key));
    return key
        + (value instanceof Map || value instanceof List ? "" : " " + Json.quote(value.toString()));
  }
}
