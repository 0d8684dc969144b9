package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.models.LanguageModel;
import org.winnow.models.Verifier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code winnow verify}: compares a model, or operations, with the results of a reference. */
@Command(
    name = "verify",
    description = {
      "Compares the results of a checkpoint with a reference: tensors element by element,"
          + " greedily chosen tokens one by one.",
      "The reference is a safetensors file with input_ids and any of hidden.0, hidden.1, ...,"
          + " logits, router_logits, greedy.",
      "With --operation it compares single operations. A case is a safetensors file whose metadata"
          + " names operation, mode, options and tolerances; tensors are input.*, weight.* and"
          + " expected.*."
    },
    footer = {
      "",
      "Examples:",
      "  winnow verify models/kjv-moe models/kjv-moe/golden.safetensors --budget 25%%",
      "  winnow verify --operation cases/ one.safetensors --backend cuda",
      "  winnow verify models/kjv-moe models/kjv-moe/golden.safetensors --json"
    })
final class VerifyCommand extends Subcommand {
  private static final Set<String> OF_OPERATIONS =
      Set.of("--operation", "--backend", "--threads", "--json", "--stats", "--verbose");

  @Parameters(index = "0", arity = "0..1", paramLabel = "PATH", description = ModelOptions.PATH)
  private @Nullable Path path;

  @Parameters(index = "1", arity = "0..1", paramLabel = "GOLDEN", description = "the reference")
  private @Nullable Path golden;

  @Option(
      names = "--operation",
      arity = "1..*",
      paramLabel = "CASE",
      description =
          "compare operations instead of a model: files, or folders with files, of inputs and"
              + " expected results; of the other options --backend and --threads apply")
  private List<Path> cases = List.of();

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
  int run(Terminal terminal) throws IOException {
    return cases.isEmpty() ? verifyModel(terminal) : verifyOperations(terminal);
  }

  private int verifyOperations(Terminal terminal) throws IOException {
    for (OptionSpec option : parseResult().matchedOptions())
      if (!OF_OPERATIONS.contains(option.longestName()))
        throw wrongUsage(option.longestName() + " has no effect with --operation");
    if (path != null) throw wrongUsage("PATH has no effect with --operation, found " + path);
    ReportOptions.Report written = reportOptions.begin(terminal);
    OperationCases done;
    String name;
    try (Backend backend = modelOptions.openBackend()) {
      name = backend.name();
      done = new OperationCases(cases, backend);
    }
    done.print(written.people().out(), name);
    written.write(json -> done.write(json, name));
    return done.pass() ? ExitCode.DONE : ExitCode.CHECK_FAILED;
  }

  private int verifyModel(Terminal terminal) {
    if (path == null || golden == null)
      throw wrongUsage(
          "missing: " + (path == null ? "PATH and GOLDEN, or --operation CASE" : "GOLDEN"));
    Path model = path;
    Path reference = golden;
    if (!(tolerance >= 0)) throw wrongUsage("--tolerance must not be negative, found " + tolerance);
    ReportOptions.Report written = reportOptions.begin(terminal);
    Verifier.Report report;
    DType activations;
    try (LanguageModel opened = modelOptions.openForReference(model, terminal)) {
      activations = opened.activations();
      report = Verifier.compare(opened, reference);
    }
    print(written.people().out(), report, activations);
    written.write(json -> write(json, model, reference, report, activations));
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

  private void write(
      JsonGenerator json, Path model, Path reference, Verifier.Report report, DType activations)
      throws IOException {
    json.writeStartObject();
    json.writeStringField("model", model.toString());
    json.writeStringField("reference", reference.toString());
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
