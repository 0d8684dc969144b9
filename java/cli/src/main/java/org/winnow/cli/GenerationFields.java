package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.Locale;
import org.winnow.models.GenerationResult;

/** The fields of JSON that every result of a generation has. */
final class GenerationFields {
  private GenerationFields() {}

  static void write(JsonGenerator json, GenerationResult result) throws IOException {
    JsonDocument.ids(json, "ids", result.ids());
    json.writeStringField("text", result.text());
    json.writeStringField("finish_reason", result.finishReason().name().toLowerCase(Locale.ROOT));
    json.writeNumberField("prompt_tokens", result.promptTokens());
    json.writeNumberField("prefill_seconds", result.prefillNanos() / 1e9);
    json.writeNumberField("decode_seconds", result.decodeNanos() / 1e9);
    json.writeNumberField("prefill_tokens_per_second", result.prefillTokensPerSecond());
    json.writeNumberField("decode_tokens_per_second", result.decodeTokensPerSecond());
  }
}
