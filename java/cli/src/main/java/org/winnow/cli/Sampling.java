package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationDefaults;
import org.winnow.models.LanguageModel;
import org.winnow.op.SamplerOptions;

/**
 * The options of a generation, and where each comes from: from what was asked, else from the
 * checkpoint's generation_config.json, else from a default.
 *
 * @param sources by the names that JSON uses
 * @param fillsContext whether the context rather than a limit ends the generation
 * @param ignored what generation_config.json asks for in vain
 */
record Sampling(
    GenerateOptions options,
    Map<String, String> sources,
    boolean fillsContext,
    List<String> ignored) {
  static final String FILE = "generation_config.json";
  static final String OPTION = "option";
  private static final String DEFAULT = "default";
  private static final double TEMPERATURE = 0.8;

  /**
   * The options for a prompt.
   *
   * @param file what the checkpoint recommends, or null
   * @param room tokens that the context has room for after the prompt
   * @throws IllegalArgumentException naming the parameter that is out of range
   */
  static Sampling of(SamplingOptions asked, @Nullable GenerationDefaults file, int room) {
    String contradiction = asked.contradiction();
    if (contradiction != null)
      throw new IllegalArgumentException("greedy" + Names.CONTRADICTS + contradiction);
    Map<String, String> sources = new LinkedHashMap<>();
    boolean greedy = Boolean.TRUE.equals(asked.greedy);
    String otherwise = greedy ? OPTION : file != null ? FILE : DEFAULT;
    SamplerOptions base =
        greedy
            ? SamplerOptions.greedy()
            : file != null ? file.sampler() : SamplerOptions.ofTemperature(TEMPERATURE);
    SamplerOptions sampler =
        new SamplerOptions(
            choose(sources, "temperature", asked.temperature, base.temperature(), otherwise),
            choose(sources, "top_k", asked.topK, base.topK(), otherwise),
            choose(sources, "top_p", asked.topP, base.topP(), otherwise),
            choose(sources, "min_p", asked.minP, base.minP(), otherwise),
            choose(
                sources,
                "repetition_penalty",
                asked.repetitionPenalty,
                base.repetitionPenalty(),
                otherwise));
    if (asked.logprobs != null && asked.logprobs < 0)
      throw new IllegalArgumentException("logprobs must be 0 or more, found " + asked.logprobs);
    List<String> stop = file == null ? List.of() : file.stopTexts();
    Integer limit = file == null ? null : file.maxTokens();
    boolean fills = asked.maxTokens == null && (limit == null || limit > room);
    int maxTokens = fills ? GenerateOptions.FILL_CONTEXT : limit == null ? 0 : limit;
    GenerateOptions options =
        new GenerateOptions(
            choose(
                sources, "max_tokens", asked.maxTokens, maxTokens, limit == null ? DEFAULT : FILE),
            sampler,
            choose(sources, "seed", asked.seed, 0L, DEFAULT),
            null,
            choose(sources, "stop", asked.stop, stop, stop.isEmpty() ? DEFAULT : FILE),
            asked.logprobs == null ? GenerateOptions.NO_LOGPROBS : asked.logprobs,
            null);
    return new Sampling(options, sources, fills, file == null ? List.of() : file.ignored());
  }

  /**
   * The options for a prompt of a model. The file's stop texts have no effect if the model has no
   * tokenizer.
   *
   * @throws IllegalArgumentException naming the parameter that is out of range
   * @throws CommandException if stop texts are asked for and the model has no tokenizer
   */
  static Sampling of(
      SamplingOptions asked,
      @Nullable GenerationDefaults file,
      LanguageModel model,
      int promptTokens) {
    int vocabulary = model.config().vocabularySize();
    if (asked.logprobs != null && asked.logprobs > vocabulary)
      throw new IllegalArgumentException(
          "logprobs must be at most the vocabulary of " + vocabulary + ", found " + asked.logprobs);
    Sampling sampling = of(asked, file, Math.max(0, model.config().contextLength() - promptTokens));
    if (model.tokenizer() != null || sampling.options.stopTexts().isEmpty()) return sampling;
    if (sampling.isFrom("stop", OPTION))
      throw new CommandException(
          ExitCode.MISSING,
          model.config().file().getParent() + ": has no tokenizer.json: a stop text needs one");
    return sampling.withoutStopTexts();
  }

  private Sampling withoutStopTexts() {
    List<String> withStop = new ArrayList<>(ignored);
    withStop.add("stop_strings, as there is no tokenizer.json");
    return new Sampling(
        options.withStopTexts(List.of()), sources, fillsContext, List.copyOf(withStop));
  }

  private static <T> T choose(
      Map<String, String> sources, String name, @Nullable T asked, T otherwise, String source) {
    sources.put(name, asked != null ? OPTION : source);
    return asked != null ? asked : otherwise;
  }

  /** What the limit on the number of tokens is called that the generation has reached. */
  String limit() {
    if (fillsContext) return "the context is full";
    return isFrom("max_tokens", FILE)
        ? "max_new_tokens of " + FILE + " reached"
        : "--max-tokens reached";
  }

  boolean isFrom(String name, String source) {
    return source.equals(sources.get(name));
  }

  /** The rule in words, such as {@code temperature 0.7, top-p 0.9 (generation_config.json)}. */
  String describe() {
    SamplerOptions sampler = options.sampler();
    List<String> words = new ArrayList<>();
    words.add(
        sampler.temperature() == 0
            ? "the most probable token" + from("temperature")
            : "temperature " + plain(sampler.temperature()) + from("temperature"));
    if (sampler.temperature() != 0) {
      if (sampler.topK() != 0) words.add("top-k " + sampler.topK() + from("top_k"));
      if (sampler.topP() != 1) words.add("top-p " + plain(sampler.topP()) + from("top_p"));
      if (sampler.minP() != 0) words.add("min-p " + plain(sampler.minP()) + from("min_p"));
    }
    if (sampler.penalises())
      words.add(
          "repetition penalty " + plain(sampler.repetitionPenalty()) + from("repetition_penalty"));
    if (sampler.temperature() != 0) words.add("seed " + options.seed());
    return String.join(", ", words);
  }

  /** Where a value comes from that the user has not given. */
  private String from(String name) {
    return isFrom(name, FILE) ? " (" + FILE + ")" : "";
  }

  private static String plain(double value) {
    return value == (long) value ? Long.toString((long) value) : Double.toString(value);
  }

  /** Writes fields of an object. A limit that fills the context is null. */
  void write(JsonGenerator json) throws IOException {
    if (fillsContext) json.writeNullField("max_tokens");
    else json.writeNumberField("max_tokens", options.maxTokens());
    json.writeNumberField("temperature", options.sampler().temperature());
    json.writeNumberField("top_k", options.sampler().topK());
    json.writeNumberField("top_p", options.sampler().topP());
    json.writeNumberField("min_p", options.sampler().minP());
    json.writeNumberField("repetition_penalty", options.sampler().repetitionPenalty());
    json.writeNumberField("seed", options.seed());
    JsonDocument.strings(json, "stop", options.stopTexts());
  }

  void writeSources(JsonGenerator json) throws IOException {
    json.writeObjectFieldStart("option_sources");
    for (Map.Entry<String, String> source : sources.entrySet())
      json.writeStringField(source.getKey(), source.getValue());
    json.writeEndObject();
  }
}
