package org.winnow.cli;

import java.nio.file.Path;
import java.util.Locale;
import org.winnow.models.LanguageModel;
import org.winnow.models.Verifier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code winnow verify}: compares a model with the results of a reference. */
@Command(
    name = "verify",
    description = {
      "Compares the results of a checkpoint with a reference: tensors element by element,"
          + " greedily chosen tokens one by one.",
      "The reference is a safetensors file with input_ids and any of hidden.0, hidden.1, ...,"
          + " logits, router_logits, greedy."
    },
    footer = {
      "",
      "Example:",
      "  winnow verify models/kjv-moe models/kjv-moe/golden.safetensors --budget 25%%"
    })
final class VerifyCommand extends Subcommand {
  @Parameters(index = "0", paramLabel = "PATH", description = "folder of the checkpoint")
  private Path path;

  @Parameters(index = "1", paramLabel = "GOLDEN", description = "the reference")
  private Path golden;

  @Option(
      names = "--tolerance",
      paramLabel = "E",
      defaultValue = "5e-6",
      description =
          "largest error allowed, relative to the largest magnitude of its tensor; default: ${DEFAULT-VALUE}")
  private double tolerance;

  @Mixin private ModelOptions modelOptions;

  @Override
  int run(Terminal terminal) {
    if (!(tolerance >= 0)) throw wrongUsage("--tolerance must not be negative, found " + tolerance);
    Verifier.Report report;
    try (LanguageModel model = LanguageModel.open(path, modelOptions.loadOptions())) {
      report = Verifier.compare(model, golden);
    }
    Table table = Table.withHeading("tensor", "largest error", "at element", "");
    for (Verifier.TensorError tensor : report.tensors()) {
      boolean within = tensor.relativeError() <= tolerance;
      table.row(
          tensor.name(),
          String.format(Locale.ROOT, "%.2e", tensor.relativeError()),
          Units.count(tensor.worstIndex()),
          within ? "ok" : "TOO LARGE");
    }
    table.print(terminal.out());
    terminal.out().println(greedy(report));
    for (String ignored : report.ignored()) terminal.out().println("not compared: " + ignored);
    boolean passes = report.passes(tolerance);
    terminal
        .out()
        .println(
            (passes ? "passed" : "FAILED")
                + ", tolerance "
                + String.format(Locale.ROOT, "%.1e", tolerance));
    terminal.out().flush();
    return passes ? ExitCode.DONE : ExitCode.CHECK_FAILED;
  }

  private static String greedy(Verifier.Report report) {
    if (report.greedyDifference() != null)
      return "greedy tokens: first difference in " + report.greedyDifference();
    return report.greedyTokens() == 0
        ? "greedy tokens: none in the reference"
        : "greedy tokens: all " + report.greedyTokens() + " equal";
  }
}
