package org.winnow.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.models.ExpertBudget;
import org.winnow.models.FinishReason;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import org.winnow.models.ModelConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * {@code winnow demo}: text from a real model in a quarter of its experts' memory, then the proof
 * that nothing is lost by it.
 */
@Command(
    name = "demo",
    description = {
      "Generates text from a trained mixture-of-experts model while its experts have less memory"
          + " than they take; then compares with computing all experts for every token, and shows that"
          + " every budget gives the same bits."
    },
    footer = {
      "",
      "Examples:",
      "  winnow demo",
      "  winnow demo --prompt '<|endoftext|>Emma, chapter 56' --seed 3",
      "  winnow demo --plot budgets.png"
    })
final class DemoCommand extends Subcommand {
  private static final double TEMPERATURE = 0.8;
  private static final int PLOT_TOKENS = 128;
  private static final int PLOT_ROUNDS = 5;

  @Option(
      names = "--model",
      paramLabel = "PATH",
      description = "folder of a checkpoint; default: models/kjv-moe beside the launcher")
  private @Nullable Path model;

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      description = "text to go on from; default: the heading of a psalm that does not exist")
  private String prompt = "<|endoftext|>Psalm 151\n";

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "120",
      description = "new tokens; default: ${DEFAULT-VALUE}")
  private int maxTokens;

  @Option(
      names = "--budget",
      paramLabel = "SIZE",
      defaultValue = "25%",
      description = "memory for experts; default: ${DEFAULT-VALUE}",
      converter = ModelOptions.BudgetConverter.class)
  private ExpertBudget budget;

  @Option(
      names = "--seed",
      paramLabel = "S",
      defaultValue = "7",
      description = "of the drawing of tokens; default: ${DEFAULT-VALUE}")
  private long seed;

  @Option(
      names = "--plot",
      paramLabel = "FILE",
      description =
          "also draw speed and expert bytes read over the budgets, into this PNG file; more runs")
  private Path plot;

  @Override
  int run(Terminal terminal) throws IOException {
    if (maxTokens < 2) throw wrongUsage("--max-tokens must be at least 2, found " + maxTokens);
    if (plot != null && !ChartFile.isPng(plot))
      throw wrongUsage("--plot must end in .png, found " + plot);
    OutputFile chart = plot == null ? null : OutputFile.of(plot, terminal);
    Path path = model != null ? model : shippedModel();
    int[] promptIds;
    int[] allIds;
    ModelConfig config;
    try (Interruption interruption = new Interruption();
        LanguageModel opened =
            LanguageModel.open(path, LoadOptions.defaults().withBudget(budget))) {
      if (opened.tokenizer() == null)
        throw new CommandException(ExitCode.MISSING, path + ": has no tokenizer.json");
      if (opened.config().experts() == null)
        throw new CommandException(
            ExitCode.BAD_INPUT, path + ": expected a mixture of experts, found a dense model");
      config = opened.config();
      promptIds = opened.tokenizer().encode(prompt, true);
      if (promptIds.length == 0) throw wrongUsage("--prompt must not be empty");
      introduce(terminal, path, opened);
      terminal.out().print(terminal.bold(opened.tokenizer().decode(promptIds, true)));
      TokenPrinter printer = new TokenPrinter(terminal, false, interruption.cancellation());
      GenerateOptions options =
          GenerateOptions.sampling(maxTokens, TEMPERATURE, seed)
              .withCancellation(interruption.cancellation());
      GenerationResult result = printer.generate(opened, promptIds, options);
      if (printer.isBroken()) return ExitCode.BROKEN_PIPE;
      if (result.finishReason() == FinishReason.CANCELLED) return ExitCode.CANCELLED;
      allIds = concatenate(promptIds, result.ids());
    }
    List<String> generation =
        List.of(
            "--prompt-ids",
            new TokenIds(promptIds).toString(),
            "--max-tokens",
            Integer.toString(maxTokens),
            "--temperature",
            Double.toString(TEMPERATURE),
            "--seed",
            Long.toString(seed));
    boolean equal = new DemoComparison(path, config, generation).compare(terminal, budget);
    equal &= new DemoBudgets(path, promptIds, allIds).compare(terminal);
    if (chart != null) equal &= draw(terminal, path, promptIds, chart);
    return equal ? ExitCode.DONE : ExitCode.CHECK_FAILED;
  }

  /** The model in the project's files, where the launcher says that these are. */
  private static Path shippedModel() {
    String home = System.getProperty("winnow.home");
    if (home == null)
      throw new CommandException(
          ExitCode.MISSING,
          "the demo's model: start with ./winnow demo, or name a checkpoint with --model");
    Path path = Path.of(home, "models", "kjv-moe");
    if (!Files.isDirectory(path))
      throw new CommandException(
          ExitCode.MISSING, path + ": the demo's model is not there: name another with --model");
    return path;
  }

  private void introduce(Terminal terminal, Path path, LanguageModel opened) {
    ModelConfig.Experts experts = Objects.requireNonNull(opened.config().experts());
    terminal
        .out()
        .println(
            path.getFileName()
                + ": "
                + opened.config().numLayers()
                + " layers, "
                + experts.numExperts()
                + " experts in each, "
                + experts.topK()
                + " per token.");
    terminal
        .out()
        .println(
            "Its experts take "
                + Units.bytes(opened.expertBytes())
                + "; here they get "
                + Units.bytes(opened.expertBudgetBytes())
                + " ("
                + budget
                + "). Everything else takes "
                + Units.bytes(opened.residentWeightBytes())
                + ".");
    terminal.out().println();
  }

  /** Draws the plot; whether all of its runs gave the same tokens. */
  private boolean draw(Terminal terminal, Path path, int[] promptIds, OutputFile chart) {
    BudgetSweep sweep = new BudgetSweep(path, promptIds, PLOT_TOKENS, PLOT_ROUNDS);
    boolean equal = sweep.run(terminal);
    String title = path.getFileName() + ": " + PLOT_TOKENS + " tokens at every expert budget";
    new BudgetChart(title, sweep.points(), sweep.denseTokensPerSecond()).write(chart);
    terminal.out().println();
    terminal
        .out()
        .println(
            equal
                ? "plot: " + plot + " (policy lfru, best speed of " + PLOT_ROUNDS + " runs)"
                : "plot: THE TOKENS DIFFER.");
    terminal.out().flush();
    return equal;
  }

  private static int[] concatenate(int[] first, int[] second) {
    int[] all = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, all, first.length, second.length);
    return all;
  }
}
