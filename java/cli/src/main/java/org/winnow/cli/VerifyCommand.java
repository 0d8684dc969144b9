package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import org.winnow.DType;
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
      "Examples:",
      "  winnow verify models/kjv-moe models/kjv-moe/golden.safetensors --budget 25%%",
      "  winnow verify models/kjv-moe models/kjv-moe/golden.safetensors --json"
    })
final class VerifyCommand extends Subcommand {
  @Parameters(index = "0", paramLabel = "PATH", description = ModelOptions.PATH)
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

  @Mixin private ReportOptions reportOptions;

  @Override
  int run(Terminal terminal) {
    if (!(tolerance >= 0)) throw wrongUsage("--tolerance must not be negative, found " + tolerance);
    ReportOptions.Report written = reportOptions.begin(terminal);
    Verifier.Report report;
    DType activations;
    try (LanguageModel model = modelOptions.openForReference(path, terminal)) {
      activations = model.activations();
      report = Verifier.compare(model, golden);
    }
    print(written.people().out(), report, activations);
    written.write(json -> write(json, report, activations));
    return report.passes(tolerance) ? ExitCode.DONE : ExitCode.CHECK_FAILED;
  }

  private void print(PrintWriter out, Verifier.Report report, DType activations) {
    Table table = Table.withHeading("tensor", "largest error", "at element", "");
    for (Verifier.TensorError tensor : report.tensors()) {
      table.row(
          tensor.name(),
          String.format(Locale.ROOT, "%.2e", tensor.relativeError()),
          Units.count(tensor.worstIndex()),
          isWithin(tensor) ? "ok" : "TOO LARGE");
    }
    table.print(out);
    out.println(greedy(report));
    for (String ignored : report.ignored()) out.println("not compared: " + ignored);
    out.println(
        (report.passes(tolerance) ? "passed" : "FAILED")
            + ", tolerance "
            + String.format(Locale.ROOT, "%.1e", tolerance)
            + ", activations "
            + activations);
    out.flush();
  }

  private boolean isWithin(Verifier.TensorError tensor) {
    return tensor.relativeError() <= tolerance;
  }

  private void write(JsonGenerator json, Verifier.Report report, DType activations)
      throws IOException {
    json.writeStartObject();
    json.writeStringField("model", path.toString());
    json.writeStringField("reference", golden.toString());
    json.writeStringField("activations", activations.toString());
    json.writeNumberField("tolerance", tolerance);
    json.writeBooleanField("passed", report.passes(tolerance));
    json.writeArrayFieldStart("tensors");
    for (Verifier.TensorError tensor : report.tensors()) {
      json.writeStartObject();
      json.writeStringField("name", tensor.name());
      JsonDocument.number(json, "relative_error", tensor.relativeError());
      json.writeNumberField("worst_index", tensor.worstIndex());
      json.writeBooleanField("within_tolerance", isWithin(tensor));
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeNumberField("greedy_tokens", report.greedyTokens());
    JsonDocument.string(json, "greedy_difference", report.greedyDifference());
    JsonDocument.strings(json, "not_compared", report.ignored());
    json.writeEndObject();
  }

  private static String greedy(Verifier.Report report) {
    if (report.greedyDifference() != null)
      return "greedy tokens: first difference in " + report.greedyDifference();
    return report.greedyTokens() == 0
        ? "greedy tokens: none in the reference"
        : "greedy tokens: all " + report.greedyTokens() + " equal";
  }
}
