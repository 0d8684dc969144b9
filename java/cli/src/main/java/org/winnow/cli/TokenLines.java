package org.winnow.cli;

import org.winnow.models.Cancellation;
import org.winnow.models.GeneratedToken;

/** Prints a line of JSON for each token. */
final class TokenLines extends TokenOutput {
  private final long begin = System.nanoTime();
  private final int line; // of the prompt in its file; 0 if there is one prompt
  private int index;

  TokenLines(Terminal terminal, Cancellation cancellation, int line) {
    super(terminal, cancellation);
    this.line = line;
  }

  @Override
  void show(GeneratedToken token) {
    double seconds = (System.nanoTime() - begin) / 1e9;
    print(
        JsonDocument.line(
                json -> {
                  json.writeStartObject();
                  if (line > 0) json.writeNumberField("line", line);
                  json.writeNumberField("index", index);
                  json.writeNumberField("id", token.id());
                  json.writeStringField("text", token.text());
                  json.writeNumberField("seconds", seconds);
                  GenerationFields.writeLogprobs(json, token);
                  json.writeEndObject();
                })
            + "\n");
    index++;
  }
}
