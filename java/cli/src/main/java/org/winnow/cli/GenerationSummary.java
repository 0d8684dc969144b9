package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.memory.ExpertCounters;
import org.winnow.models.GeneratedToken;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;

/** The cost of a generation in time, memory and reads, as a table for people and as JSON. */
final class GenerationSummary {
  private final Path path;
  private final LanguageModel model;
  private final ModelOptions modelOptions;
  private final int[] prompt;
  private final Sampling sampling;
  private final GenerationResult result;
  private final List<GeneratedToken> withLogprobs; // empty unless asked for
  private final @Nullable ExpertCounters experts; // null for a dense model
  private final long peakMemoryBytes = ProcessMemory.peakBytes();

  GenerationSummary(
      Path path,
      LanguageModel model,
      ModelOptions modelOptions,
      int[] prompt,
      Sampling sampling,
      GenerationResult result,
      List<GeneratedToken> withLogprobs) {
    this.path = path;
    this.model = model;
    this.modelOptions = modelOptions;
    this.prompt = prompt;
    this.sampling = sampling;
    this.withLogprobs = withLogprobs;
    this.result = result;
    this.experts = result.experts();
  }

  void print(PrintWriter out) {
    Table facts = Table.ofFacts();
    facts.row(
        "prompt",
        tokens(result.promptTokens())
            + (result.cancelledInPrompt()
                ? ", cancelled before its end"
                : " in "
                    + Units.duration(result.prefillNanos())
                    + rate(result.prefillTokensPerSecond())));
    facts.row(
        "generated",
        tokens(result.ids().length)
            + " in "
            + Units.duration(result.decodeNanos())
            + rate(result.decodeTokensPerSecond())
            + ", "
            + ending());
    facts.row("sampling", sampling.describe());
    if (!sampling.ignored().isEmpty())
      facts.row("without effect", String.join(", ", sampling.ignored()) + " of " + Sampling.FILE);
    if (experts != null) {
      facts.row(
          "experts",
          Units.bytes(model.expertBytes())
              + " in total; budget "
              + Units.bytes(model.expertBudgetBytes())
              + " ("
              + modelOptions.describe()
              + "), at most "
              + Units.bytes(experts.peakResidentBytes())
              + " resident");
      facts.row(
          "read",
          Units.bytes(experts.demandBytesRead())
              + " in "
              + Units.count(experts.misses())
              + " reads, waited "
              + Units.duration(experts.waitNanos())
              + "; hit rate "
              + Units.percent(experts.hitRate())
              + ", "
              + Units.count(experts.evictions())
              + " evictions");
      if (modelOptions.readAhead()) {
        facts.row(
            "read ahead",
            Units.bytes(experts.readAheadUsefulBytes())
                + " useful, "
                + Units.bytes(experts.readAheadWastedBytes())
                + " wasted");
      }
    }
    facts.row("activations", model.activations().toString());
    facts.row("other weights", Units.bytes(model.residentWeightBytes()));
    facts.row(
        "key-value cache",
        model.cacheType() + ", " + Units.bytes(model.cacheBytesPerToken()) + " per token");
    if (peakMemoryBytes >= 0)
      facts.row("peak memory", Units.bytes(peakMemoryBytes) + " of this process, Java included");
    facts.print(out);
  }

  private static String tokens(int count) {
    return Units.count(count) + (count == 1 ? " token" : " tokens");
  }

  private static String rate(double tokensPerSecond) {
    return tokensPerSecond == 0 ? "" : " (" + Units.threeDigits(tokensPerSecond) + " tokens/s)";
  }

  private String ending() {
    return switch (result.finishReason()) {
      case STOP ->
          "ended by a stop token"
              + (sampling.options().stopTexts().isEmpty() ? "" : " or a stop text");
      case LENGTH -> sampling.limit();
      case CANCELLED -> "cancelled";
    };
  }

  /** Writes the line that follows those of the tokens. */
  void writeAsLast(JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeFieldName("result");
    write(json);
    json.writeEndObject();
  }

  void write(JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeStringField("model", path.toString());
    json.writeStringField("family", model.config().modelType());
    writeOptions(json);
    sampling.writeSources(json);
    JsonDocument.ids(json, "prompt_ids", prompt);
    GenerationFields.write(json, result, withLogprobs);
    json.writeNumberField("other_weight_bytes", model.residentWeightBytes());
    json.writeStringField("cache_type", model.cacheType().toString());
    json.writeNumberField("cache_bytes_per_token", model.cacheBytesPerToken());
    json.writeNumberField("peak_memory_bytes", peakMemoryBytes);
    if (experts != null) GenerationFields.writeExperts(json, model, experts);
    json.writeEndObject();
  }

  private void writeOptions(JsonGenerator json) throws IOException {
    json.writeObjectFieldStart("options");
    sampling.write(json);
    json.writeStringField("policy", modelOptions.policy().toString());
    json.writeBooleanField("read_ahead", modelOptions.readAhead());
    json.writeStringField("activations", model.activations().toString());
    json.writeEndObject();
  }
}
