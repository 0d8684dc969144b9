package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.winnow.memory.ExpertCounters;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;

/** The cost of a generation in time, memory and reads, as a table for people and as JSON. */
final class GenerationSummary {
  private final Path path;
  private final LanguageModel model;
  private final ModelOptions modelOptions;
  private final int[] prompt;
  private final GenerateOptions options;
  private final GenerationResult result;
  private final @Nullable ExpertCounters experts; // null for a dense model
  private final long peakMemoryBytes = ProcessMemory.peakBytes();

  GenerationSummary(
      Path path,
      LanguageModel model,
      ModelOptions modelOptions,
      int[] prompt,
      GenerateOptions options,
      GenerationResult result) {
    this.path = path;
    this.model = model;
    this.modelOptions = modelOptions;
    this.prompt = prompt;
    this.options = options;
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
    facts.row("other weights", Units.bytes(model.residentWeightBytes()));
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
      case STOP -> "ended by a stop token";
      case LENGTH -> "--max-tokens reached";
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
    JsonDocument.ids(json, "prompt_ids", prompt);
    GenerationFields.write(json, result);
    json.writeNumberField("other_weight_bytes", model.residentWeightBytes());
    json.writeNumberField("peak_memory_bytes", peakMemoryBytes);
    if (experts != null) writeExperts(json, experts);
    json.writeEndObject();
  }

  private void writeOptions(JsonGenerator json) throws IOException {
    json.writeObjectFieldStart("options");
    json.writeNumberField("max_tokens", options.maxTokens());
    json.writeNumberField("temperature", options.sampler().temperature());
    json.writeNumberField("top_k", options.sampler().topK());
    json.writeNumberField("top_p", options.sampler().topP());
    json.writeNumberField("seed", options.seed());
    json.writeStringField("policy", modelOptions.policy().toString());
    json.writeBooleanField("read_ahead", modelOptions.readAhead());
    json.writeEndObject();
  }

  private void writeExperts(JsonGenerator json, ExpertCounters experts) throws IOException {
    json.writeObjectFieldStart("experts");
    json.writeNumberField("expert_bytes", model.expertBytes());
    json.writeNumberField("budget_bytes", model.expertBudgetBytes());
    json.writeNumberField("demand_bytes_read", experts.demandBytesRead());
    json.writeNumberField("read_ahead_useful_bytes", experts.readAheadUsefulBytes());
    json.writeNumberField("read_ahead_wasted_bytes", experts.readAheadWastedBytes());
    json.writeNumberField("hits", experts.hits());
    json.writeNumberField("misses", experts.misses());
    JsonDocument.number(json, "hit_rate", experts.hitRate());
    json.writeNumberField("evictions", experts.evictions());
    json.writeNumberField("wait_seconds", experts.waitNanos() / 1e9);
    json.writeNumberField("distinct_experts", experts.distinctExperts());
    json.writeNumberField("resident_bytes", experts.residentBytes());
    json.writeNumberField("peak_resident_bytes", experts.peakResidentBytes());
    json.writeEndObject();
  }
}
