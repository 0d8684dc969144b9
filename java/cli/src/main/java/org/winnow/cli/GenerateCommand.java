package org.winnow.cli;

import java.nio.file.Path;
import org.winnow.ContextLengthException;
import org.winnow.models.FinishReason;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code winnow generate}: text after a prompt, as it is made; then what it took. */
@Command(
    name = "generate",
    description = {
      "Generates text after a prompt and prints it as it is made; then, on standard error, what it took.",
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
        description = "text to go on from")
    private String text;

    @Option(
        names = "--prompt-ids",
        paramLabel = "ID,...",
        required = true,
        converter = TokenIds.Converter.class,
        description = "the same as token ids")
    private TokenIds ids;
  }

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "128",
      description = "new tokens at most; default: ${DEFAULT-VALUE}")
  private int maxTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0.8",
      description =
          "0 takes the most probable token, 1 draws as the model says; default: ${DEFAULT-VALUE}")
  private double temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      defaultValue = "0",
      description = "draw among the K most probable tokens; default: all")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "1",
      description =
          "draw among the fewest tokens with this much probability in all; default: ${DEFAULT-VALUE}")
  private double topP;

  @Option(
      names = "--seed",
      paramLabel = "S",
      defaultValue = "0",
      description =
          "the same seed gives the same text, whatever budget, policy and threads; default: ${DEFAULT-VALUE}")
  private long seed;

  @Mixin private ModelOptions modelOptions;

  @Option(
      names = "--print-ids",
      description =
          "print token ids in place of text; always so for a checkpoint without tokenizer")
  private boolean printIds;

  @Option(
      names = "--stats",
      paramLabel = "FILE",
      description = "write what it took into this file, as JSON")
  private Path stats;

  @Override
  int run(Terminal terminal) throws Exception {
    GenerateOptions options;
    try {
      options = new GenerateOptions(maxTokens, temperature, topK, topP, seed, null, null);
    } catch (IllegalArgumentException e) {
      throw wrongUsage(ModelOptions.asOption(e.getMessage()));
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
    if (model.tokenizer() == null)
      throw new CommandException(
          ExitCode.MISSING, path + ": has no tokenizer.json: use --prompt-ids");
    int[] ids = model.tokenizer().encode(prompt.text, true);
    if (ids.length == 0) throw wrongUsage("--prompt must not be empty");
    return ids;
  }
}
