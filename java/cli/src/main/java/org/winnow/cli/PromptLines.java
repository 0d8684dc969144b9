package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.WinnowException;
import org.winnow.memory.ExpertCounters;
import org.winnow.models.Cancellation;
import org.winnow.models.FinishReason;
import org.winnow.models.GenerationDefaults;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;

/**
 * Continues the prompts of a file, a JSON object in each line, one after the other. Each is
 * answered with a line of JSON as soon as it is done. A line that is wrong is answered with its
 * error.
 */
final class PromptLines {
  /** More than any context holds. */
  static final int MAX_LINE_BYTES = 16 << 20;

  private final Path path; // of the model
  private final LanguageModel model;
  private final SamplingOptions sampling;
  private final Terminal terminal;
  private final boolean streamed;
  private final long begin = System.nanoTime();
  private final @Nullable GenerationDefaults recommended;
  private int failed;
  private int done;
  private long promptTokens;
  private long newTokens;

  /**
   * @param sampling what holds for lines that do not say otherwise
   * @param streamed whether each token is a line of its own
   */
  PromptLines(
      Path path,
      LanguageModel model,
      SamplingOptions sampling,
      Terminal terminal,
      boolean streamed) {
    this.path = path;
    this.model = model;
    this.sampling = sampling;
    this.terminal = terminal;
    this.streamed = streamed;
    this.recommended = model.generationDefaults();
  }

  /**
   * Answers all lines and returns the exit code.
   *
   * @param end what follows the last answer, unless the output is broken
   */
  int run(Path file, Runnable end) throws IOException {
    try (InputStream in = TextInput.open(file, terminal)) {
      LineReader lines = new LineReader(in, MAX_LINE_BYTES);
      for (byte[] bytes = lines.next(); bytes != null; bytes = lines.next()) {
        if (isBlank(bytes)) continue;
        FinishReason reason = answer(lines, bytes, end);
        if (terminal.outIsBroken()) return ExitCode.BROKEN_PIPE;
        if (reason == FinishReason.CANCELLED) return ExitCode.CANCELLED;
      }
    }
    end.run();
    return failed == 0 ? ExitCode.DONE : ExitCode.BAD_INPUT;
  }

  /** Prints the totals for people. */
  void printTotals(PrintWriter out) {
    Table.ofFacts()
        .row("prompts", Units.count(done + failed) + ", " + Units.count(failed) + " failed")
        .row(
            "tokens",
            Units.count(promptTokens)
                + " of prompts, "
                + Units.count(newTokens)
                + " new, in "
                + Units.duration(System.nanoTime() - begin))
        .row("activations", model.activations().toString())
        .print(out);
  }

  /** Writes the totals. */
  void writeTotals(JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeStringField("model", path.toString());
    json.writeStringField("activations", model.activations().toString());
    json.writeNumberField("prompts", done + failed);
    json.writeNumberField("failed", failed);
    json.writeNumberField("prompt_tokens", promptTokens);
    json.writeNumberField("new_tokens", newTokens);
    json.writeNumberField("seconds", (System.nanoTime() - begin) / 1e9);
    json.writeNumberField("peak_memory_bytes", ProcessMemory.peakBytes());
    ExpertCounters experts = model.expertCounters();
    if (experts != null) GenerationFields.writeExperts(json, model, experts);
    json.writeEndObject();
  }

  private static boolean isBlank(byte[] line) {
    for (byte next : line) {
      if (next != ' ' && next != '\t' && next != '\r') return false;
    }
    return true;
  }

  /** Why the generation ended, or null if the line is wrong. */
  private @Nullable FinishReason answer(LineReader lines, byte[] bytes, Runnable end) {
    PromptLine line = new PromptLine();
    // Interrupts are caught while a line is computed; while the next line is awaited, they end the
    // process at once.
    try (Interruption interruption = new Interruption()) {
      if (lines.isTooLong())
        throw new IllegalArgumentException(
            "expected at most " + Units.bytes(MAX_LINE_BYTES) + " in a line, found more");
      line.read(TextInput.decode("line " + lines.line(), bytes));
      TokenOutput tokens = tokens(lines.line(), interruption.cancellation());
      GenerationResult result = generate(line, promptIds(line), tokens);
      done++;
      promptTokens += result.promptTokens();
      newTokens += result.ids().length;
      print(
          line, lines.line(), json -> GenerationFields.write(json, result, tokens.withLogprobs()));
      // The process ends with the interruption.
      if (result.finishReason() == FinishReason.CANCELLED && !tokens.isBroken()) end.run();
      return result.finishReason();
    } catch (WinnowException | CommandException | IllegalArgumentException e) {
      failed++;
      print(line, lines.line(), json -> writeError(json, e));
      return null;
    }
  }

  private TokenOutput tokens(int line, Cancellation cancellation) {
    return streamed
        ? new TokenLines(terminal, cancellation, line)
        : new TokenOutput(terminal, cancellation);
  }

  private GenerationResult generate(PromptLine line, int[] ids, TokenOutput tokens) {
    Sampling asked = Sampling.of(line.sampling().over(sampling), recommended, model, ids.length);
    return tokens.generate(model, ids, asked.options());
  }

  private int[] promptIds(PromptLine line) {
    String text = line.text();
    return text != null
        ? Prompts.encode("prompt", text, model, path)
        : Prompts.checked("prompt_ids", Objects.requireNonNull(line.ids()), model);
  }

  private void print(PromptLine line, int number, JsonDocument.Content content) {
    terminal
        .out()
        .println(
            JsonDocument.line(
                json -> {
                  json.writeStartObject();
                  json.writeNumberField("line", number);
                  if (line.id() != null) {
                    json.writeFieldName("id");
                    json.writeRawValue(line.id());
                  }
                  content.write(json);
                  json.writeEndObject();
                }));
    terminal.out().flush();
  }

  private static void writeError(JsonGenerator json, RuntimeException failure) throws IOException {
    boolean argument = failure instanceof IllegalArgumentException;
    json.writeObjectFieldStart("error");
    json.writeStringField(
        "message",
        failure instanceof IllegalArgumentException e ? Names.field(e) : ExitCode.message(failure));
    json.writeNumberField("exit_code", argument ? ExitCode.BAD_INPUT : ExitCode.of(failure));
    json.writeEndObject();
  }
}
