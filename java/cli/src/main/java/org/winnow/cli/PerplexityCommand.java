package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.winnow.models.LanguageModel;
import org.winnow.models.Perplexity;
import org.winnow.models.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code winnow perplexity}: how well a model predicts a text. */
@Command(
    name = "perplexity",
    description = {
      "Computes how well a checkpoint predicts a text: perplexity per token, and bits per byte.",
      "Windows of CONTEXT tokens start every STRIDE tokens; each scores the tokens that no earlier window contained."
    },
    footer = {
      "",
      "Examples:",
      "  winnow perplexity models/kjv-moe models/kjv-moe/heldout.txt --context 1024 --stride 512",
      "  head -c 5000 models/kjv-moe/heldout.txt | winnow perplexity models/kjv-moe - --json"
    })
final class PerplexityCommand extends Subcommand {
  @Parameters(index = "0", paramLabel = "PATH", description = ModelOptions.PATH)
  private Path path;

  @Parameters(
      index = "1",
      paramLabel = "TEXTFILE",
      description =
          "UTF-8 text, - is standard input; special tokens that are written in it become their ids")
  private Path textFile;

  @Option(
      names = "--context",
      paramLabel = "N",
      description = "tokens per window; default: the model's context, at most 1024")
  private @Nullable Integer context;

  @Option(
      names = "--stride",
      paramLabel = "N",
      description = "tokens between the starts of two windows; default: half the context")
  private @Nullable Integer stride;

  @Mixin private ModelOptions modelOptions;

  @Mixin private ReportOptions reportOptions;

  @Override
  int run(Terminal terminal) throws IOException {
    ReportOptions.Report written = reportOptions.begin(terminal);
    try (Reader text = TextInput.reader(textFile, terminal);
        LanguageModel model = modelOptions.open(path, terminal)) {
      Tokenizer tokenizer = model.tokenizer();
      if (tokenizer == null)
        throw new CommandException(ExitCode.MISSING, path + ": has no tokenizer.json");
      int window = context != null ? context : Math.min(1024, model.config().contextLength());
      int step = stride != null ? stride : window / 2;
      if (window < 2) throw wrongUsage("--context must be at least 2, found " + window);
      if (step < 1 || step >= window)
        throw wrongUsage("--stride must lie in [1, " + (window - 1) + "], found " + step);
      int[] ids = Prompts.encode(TextInput.name(textFile), () -> tokenizer.encode(text, false));
      if (ids.length < 2)
        throw new CommandException(
            ExitCode.BAD_INPUT,
            TextInput.name(textFile) + ": expected at least 2 tokens, found " + ids.length);
      long textBytes = Perplexity.textBytes(model, ids);
      long begin = System.nanoTime();
      Perplexity perplexity;
      try (Progress progress = new Progress(terminal, "perplexity", "tokens", ids.length - 1)) {
        perplexity =
            Perplexity.of(
                model, ids, textBytes, window, step, (scored, total) -> progress.update(scored));
      }
      long nanos = System.nanoTime() - begin;
      print(written.people(), model, perplexity, window, step, nanos);
      written.write(json -> write(json, model, perplexity, window, step, nanos));
      return ExitCode.DONE;
    }
  }

  private static void print(
      Terminal terminal,
      LanguageModel model,
      Perplexity perplexity,
      int window,
      int step,
      long nanos) {
    Table.ofFacts()
        .row("perplexity", String.format(Locale.ROOT, "%.3f per token", perplexity.perToken()))
        .row("bits per byte", String.format(Locale.ROOT, "%.4f", perplexity.bitsPerByte()))
        .row(
            "tokens scored",
            Units.count(perplexity.tokensScored()) + ", in windows of " + window + " every " + step)
        .row("text", Units.count(perplexity.textBytes()) + " bytes without special tokens")
        .row("activations", model.activations().toString())
        .row("time", Units.duration(nanos))
        .print(terminal.out());
  }

  private void write(
      JsonGenerator json,
      LanguageModel model,
      Perplexity perplexity,
      int window,
      int step,
      long nanos)
      throws IOException {
    json.writeStartObject();
    json.writeStringField("model", path.toString());
    json.writeStringField("text", TextInput.name(textFile));
    json.writeStringField("activations", model.activations().toString());
    JsonDocument.number(json, "perplexity", perplexity.perToken());
    JsonDocument.number(json, "bits_per_byte", perplexity.bitsPerByte());
    json.writeNumberField("tokens_scored", perplexity.tokensScored());
    json.writeNumberField("text_bytes", perplexity.textBytes());
    json.writeNumberField("context", window);
    json.writeNumberField("stride", step);
    json.writeNumberField("seconds", nanos / 1e9);
    json.writeEndObject();
  }
}
