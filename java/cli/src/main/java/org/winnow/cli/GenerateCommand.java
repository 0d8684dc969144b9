package org.winnow.cli;

import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.ContextLengthException;
import org.winnow.models.FinishReason;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import org.winnow.models.Tokenizer;
import picocli.CommandLine.ArgGroup;
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
      "  winnow generate models/kjv-moe --prompt-ids 0,271,313 --max-tokens 16 --temperature 0"
    })
final class GenerateCommand extends Subcommand {
  @Parameters(paramLabel = "PATH", description = "folder of the checkpoint")
  private Path path;

  @ArgGroup(multiplicity = "1")
  private Prompt prompt;

  private static final class Prompt {
    @Option(
        names = "--prompt",
        paramLabel = "TEXT",
        required = true,
        description = "text to continue")
    private @Nullable String text;

    @Option(
        names = "--prompt-ids",
        paramLabel = "ID,...",
        required = true,
        converter = TokenIds.Converter.class,
        description = "the prompt as token ids")
    private @Nullable TokenIds ids;
  }

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "128",
      description = "largest number of new tokens; default: ${DEFAULT-VALUE}")
  private int maxTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0.8",
      description =
          "0 chooses the most probable token, 1 samples with the model's probabilities; default: ${DEFAULT-VALUE}")
  private double temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      defaultValue = "0",
      description = "sample among the K most probable tokens; default: all")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "1",
      description =
          "sample among the fewest tokens whose probabilities sum to at least P; default: ${DEFAULT-VALUE}")
  private double topP;

  @Option(
      names = "--seed",
      paramLabel = "S",
      defaultValue = "0",
      description =
          "the same seed gives the same text for every budget, policy and number of threads; default: ${DEFAULT-VALUE}")
  private long seed;

  @Mixin private ModelOptions modelOptions;

  @Option(
      names = "--print-ids",
      description = "print token ids instead of text; always on for a checkpoint without tokenizer")
  private boolean printIds;

  @Option(
      names = "--stats",
      paramLabel = "FILE",
      description = "write the result, time and memory to this file, as JSON")
  private @Nullable Path stats;

  @Override
  int run(Terminal terminal) throws Exception {
    GenerateOptions options;
    try {
      options = new GenerateOptions(maxTokens, temperature, topK, topP, seed, null, null);
    } catch (IllegalArgumentException e) {
      throw wrongUsage(ModelOptions.asOption(e));
    }
    LoadOptions loadOptions = modelOptions.loadOptions();
    try (JsonFile json = stats == null ? null : JsonFile.create(stats);
        Interruption interruption = new Interruption();
        LanguageModel model = LanguageModel.open(path, loadOptions)) {
      int[] ids = promptIds(model);
      TokenPrinter printer =
          new TokenPrinter(
              terminal, printIds || model.tokenizer() == null, interruption.cancellation());
      GenerateOptions cancellable = options.withCancellation(interruption.cancellation());
      GenerationResult result = generate(printer, model, ids, cancellable);
      GenerationSummary summary =
          new GenerationSummary(path, model, modelOptions, ids, options, result);
      if (!printer.isBroken()) {
        terminal.err().println();
        summary.print(terminal.err());
      }
      if (json != null) json.write(summary::write);
      if (printer.isBroken()) return ExitCode.BROKEN_PIPE;
      return result.finishReason() == FinishReason.CANCELLED ? ExitCode.CANCELLED : ExitCode.DONE;
    }
  }

  private GenerationResult generate(
      TokenPrinter printer, LanguageModel model, int[] ids, GenerateOptions options) {
    try {
      return printer.generate(model, ids, options);
    } catch (ContextLengthException e) {
      throw new CommandException(
          ExitCode.TOO_SMALL,
          "the context holds at most "
              + Units.count(e.contextLimit())
              + " tokens, found "
              + Units.count(ids.length)
              + " of the prompt and --max-tokens "
              + Units.count(maxTokens));
    }
  }

  private int[] promptIds(LanguageModel model) {
    if (prompt.ids != null) {
      int vocabularySize = model.config().vocabularySize();
      for (int id : prompt.ids.values()) {
        if (id >= vocabularySize)
          throw wrongUsage(
              "--prompt-ids must be less than the vocabulary of "
                  + vocabularySize
                  + ", found "
                  + id);
      }
      return prompt.ids.values();
    }
    Tokenizer tokenizer = model.tokenizer();
    if (tokenizer == null)
      throw new CommandException(
          ExitCode.MISSING, path + ": has no tokenizer.json: use --prompt-ids");
    int[] ids = tokenizer.encode(Objects.requireNonNull(prompt.text), true);
    if (ids.length == 0) throw wrongUsage("--prompt must not be empty");
    return ids;
  }
}
