package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import org.winnow.memory.ExpertCounters;
import org.winnow.models.GeneratedToken;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.TokenLogprobs;

/** The fields of JSON that every result of a generation has. */
final class GenerationFields {
  private GenerationFields() {}

  /**
   * Writes the fields of a result.
   *
   * @param withLogprobs the tokens, if their log probabilities were asked for; else none
   */
  static void write(JsonGenerator json, GenerationResult result, List<GeneratedToken> withLogprobs)
      throws IOException {
    JsonDocument.ids(json, "ids", result.ids());
    json.writeStringField("text", result.text());
    json.writeStringField("finish_reason", result.finishReason().name().toLowerCase(Locale.ROOT));
    json.writeNumberField("prompt_tokens", result.promptTokens());
    json.writeNumberField("prefill_seconds", result.prefillNanos() / 1e9);
    json.writeNumberField("decode_seconds", result.decodeNanos() / 1e9);
    json.writeNumberField("prefill_tokens_per_second", result.prefillTokensPerSecond());
    json.writeNumberField("decode_tokens_per_second", result.decodeTokensPerSecond());
    if (withLogprobs.isEmpty()) return;
    json.writeArrayFieldStart("logprobs");
    for (GeneratedToken token : withLogprobs) {
      json.writeStartObject();
      json.writeNumberField("id", token.id());
      writeLogprobs(json, token);
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  /** Writes the log probabilities of a token, if they were asked for. */
  static void writeLogprobs(JsonGenerator json, GeneratedToken token) throws IOException {
    TokenLogprobs logprobs = token.logprobs();
    if (logprobs == null) return;
    JsonDocument.number(json, "logprob", logprobs.logprob());
    json.writeArrayFieldStart("top");
    for (TokenLogprobs.Candidate candidate : logprobs.top()) {
      json.writeStartObject();
      json.writeNumberField("id", candidate.id());
      JsonDocument.number(json, "logprob", candidate.logprob());
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  /** Writes what the experts of a model have cost since it was opened. */
  static void writeExperts(JsonGenerator json, LanguageModel model, ExpertCounters experts)
      throws IOException {
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
