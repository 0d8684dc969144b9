package org.winnow.cli;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Path;
import java.util.Locale;
import org.winnow.ContextLengthException;
import org.winnow.models.Cancellation;
import org.winnow.models.FinishReason;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * {@code winnow generate}: prints the continuation of a prompt as it is generated, then its cost.
 */
@Command(
    name = "generate",
    description = {
      "Continues a prompt and prints the text as it is generated; then, on standard error, time and memory.",
      "Reads an expert when a token first needs it and keeps as many as the budget holds."
    },
    footer = {
      "",
      "Examples:",
      "  winnow generate models/kjv-moe --prompt '<|endoftext|>Psalm 151' --budget 25%% --seed 7",
      "  winnow generate models/kjv-moe --prompt-ids 0,271,313 --max-tokens 16 --temperature 0",
      "  winnow generate models/kjv-moe --prompt-file psalm.txt --json",
      "  winnow generate models/kjv-moe --prompts prompts.jsonl --max-tokens 50"
    })
final class GenerateCommand extends Subcommand {
  @Parameters(paramLabel = "PATH", description = ModelOptions.PATH)
  private Path path;

  @Mixin private PromptOptions prompt;

  @Mixin private SamplingOptions sampling;

  @Mixin private ModelOptions modelOptions;

  @Option(
      names = "--print-ids",
      description = "print token ids instead of text; always on for a checkpoint without tokenizer")
  private boolean printIds;

  @Option(
      names = "--stream",
      paramLabel = "FORMAT",
      defaultValue = "text",
      description =
          "what is printed for each token: text, or json for a line of JSON, and one with the"
              + " result at the end; default: ${DEFAULT-VALUE}")
  private Stream stream;

  /** Forms of the tokens as they are generated. */
  private enum Stream {
    TEXT,
    JSON;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Mixin private ReportOptions reportOptions;

  @Override
  int run(Terminal terminal) throws Exception {
    boolean linesOnOut = stream == Stream.JSON || prompt.lines() != null;
    if (sampling.logprobs != null && !linesOnOut && !reportOptions.isAsked())
      throw wrongUsage("--logprobs needs one of --json, --stats, --stream json, --prompts");
    if (linesOnOut && reportOptions.toStandardOutput())
      throw wrongUsage(
          (stream == Stream.JSON ? "--stream json" : "--prompts")
              + " and --json (or --stats -) cannot both print to standard output");
    ReportOptions.Report report = reportOptions.begin(terminal);
    checkSampling();
    try (Reader text = prompt.open(terminal);
        LanguageModel model = modelOptions.open(path, terminal)) {
      return prompt.lines() != null
          ? continueAll(prompt.lines(), model, terminal, report)
          : continueOne(prompt.ids(model, path, text), model, terminal, report);
    }
  }

  /** Wrong values are refused before a model is opened. */
  private void checkSampling() {
    try {
      Sampling.of(sampling, null, 0);
    } catch (IllegalArgumentException e) {
      throw wrongUsage(Names.option(e));
    }
  }

  private Sampling sampling(LanguageModel model, int promptTokens) {
    try {
      return Sampling.of(sampling, model.generationDefaults(), model, promptTokens);
    } catch (IllegalArgumentException e) {
      throw wrongUsage(Names.option(e));
    }
  }

  private int continueAll(
      Path lines, LanguageModel model, Terminal terminal, ReportOptions.Report report)
      throws IOException {
    PromptLines prompts = new PromptLines(path, model, sampling, terminal, stream == Stream.JSON);
    return prompts.run(
        lines,
        () -> {
          prompts.printTotals(terminal.err());
          report.write(prompts::writeTotals);
        });
  }

  private int continueOne(
      int[] ids, LanguageModel model, Terminal terminal, ReportOptions.Report report) {
    Sampling asked = sampling(model, ids.length);
    try (Interruption interruption = new Interruption()) {
      Cancellation cancellation = interruption.cancellation();
      TokenOutput tokens =
          stream == Stream.JSON
              ? new TokenLines(terminal, cancellation, 0)
              : new TokenPrinter(
                  report.people(), printIds || model.tokenizer() == null, cancellation);
      GenerationResult result = generate(tokens, model, ids, asked);
      GenerationSummary summary =
          new GenerationSummary(
              path, model, modelOptions, ids, asked, result, tokens.withLogprobs());
      if (stream == Stream.JSON) tokens.print(JsonDocument.line(summary::writeAsLast) + "\n");
      if (!tokens.isBroken()) {
        terminal.err().println();
        summary.print(terminal.err());
      }
      report.write(summary::write);
      if (tokens.isBroken()) return ExitCode.BROKEN_PIPE;
      return result.finishReason() == FinishReason.CANCELLED ? ExitCode.CANCELLED : ExitCode.DONE;
    }
  }

  private GenerationResult generate(
      TokenOutput tokens, LanguageModel model, int[] ids, Sampling asked) {
    try {
      return tokens.generate(model, ids, asked.options());
    } catch (ContextLengthException e) {
      throw new CommandException(
          ExitCode.TOO_SMALL,
          "the context holds at most "
              + Units.count(e.contextLimit())
              + " tokens, found "
              + Units.count(ids.length)
              + " of the prompt"
              + (asked.isFrom("max_tokens", Sampling.OPTION)
                  ? " and --max-tokens " + Units.count(asked.options().maxTokens())
                  : ", which leave none for new ones"));
    }
  }
}
