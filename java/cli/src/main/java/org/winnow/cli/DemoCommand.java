package org.winnow.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.models.ExpertBudget;
import org.winnow.models.GenerateOptions;
import org.winnow.models.LoadOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
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
      "  winnow demo --plot budgets.png --stats demo.json"
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
      preprocessor = LiteralText.Preprocessor.class,
      converter = LiteralText.Converter.class,
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
          "also draw speed and expert bytes read over the budgets, into this PNG file, - is standard"
              + " output; more runs")
  private @Nullable Path plot;

  @Mixin private ActivationsOption activations;

  @Mixin private ReportOptions reportOptions;

  @Override
  int run(Terminal terminal) throws IOException {
    if (maxTokens < 2) throw wrongUsage("--max-tokens must be at least 2, found " + maxTokens);
    if (plot != null && !ChartFile.isPng(plot))
      throw wrongUsage("--plot must end in .png, found " + plot);
    if (plot != null && OutputFile.isStandardOutput(plot) && reportOptions.toStandardOutput())
      throw wrongUsage("--plot and the results cannot both go to standard output");
    ReportOptions.Report report = reportOptions.begin(terminal);
    OutputFile chart = plot == null ? null : OutputFile.of(plot, terminal);
    Terminal people =
        chart != null && chart.isStandardOutput() ? terminal.withoutOut() : report.people();
    Path path = model != null ? model : shippedModel();
    GenerateOptions options = GenerateOptions.sampling(maxTokens, TEMPERATURE, seed);
    LoadOptions opening = activations.over(LoadOptions.defaults());
    DemoText text = textOf(people, path, opening, options);
    if (text.exitCode() != ExitCode.DONE) return text.exitCode();
    List<String> worker = new ArrayList<>(text.workerArguments());
    worker.addAll(activations.arguments());
    DemoComparison comparison = new DemoComparison(path, text.config(), worker);
    DemoBudgets budgets = new DemoBudgets(path, opening, text.promptIds(), text.allIds());
    BudgetSweep sweep =
        chart == null
            ? null
            : new BudgetSweep(path, opening, text.promptIds(), PLOT_TOKENS, PLOT_ROUNDS);
    boolean equal = comparison.compare(people, budget);
    equal &= budgets.compare(people);
    if (sweep != null) equal &= draw(people, path, sweep, Objects.requireNonNull(chart));
    boolean allEqual = equal;
    report.write(
        json -> {
          json.writeStartObject();
          text.write(json);
          json.writeFieldName("comparison");
          comparison.write(json);
          json.writeFieldName("budgets");
          budgets.write(json);
          if (sweep != null) {
            json.writeFieldName("plot");
            sweep.write(json);
          }
          json.writeBooleanField("equal", allEqual);
          json.writeEndObject();
        });
    return equal ? ExitCode.DONE : ExitCode.CHECK_FAILED;
  }

  private DemoText textOf(
      Terminal people, Path path, LoadOptions opening, GenerateOptions options) {
    try {
      return DemoText.generate(people, path, opening, prompt, budget, options);
    } catch (IllegalArgumentException e) {
      throw wrongUsage(Objects.requireNonNull(e.getMessage()));
    }
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

  /** Draws the plot; whether all of its runs gave the same tokens. */
  private boolean draw(Terminal people, Path path, BudgetSweep sweep, OutputFile chart) {
    boolean equal = sweep.run(people);
    String title = path.getFileName() + ": " + PLOT_TOKENS + " tokens at every expert budget";
    new BudgetChart(title, sweep.points(), sweep.denseTokensPerSecond()).write(chart);
    people.out().println();
    people
        .out()
        .println(
            equal
                ? "plot: " + plot + " (policy lfru, best speed of " + PLOT_ROUNDS + " runs)"
                : "plot: THE TOKENS DIFFER.");
    people.out().flush();
    return equal;
  }
}
