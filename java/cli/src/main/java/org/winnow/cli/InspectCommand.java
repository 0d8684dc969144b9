package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.winnow.DType;
import org.winnow.models.ModelReport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * {@code winnow inspect}: describes a checkpoint and the memory that it needs, from its headers
 * alone.
 */
@Command(
    name = "inspect",
    description = {
      "Describes a checkpoint: whether it is a mixture of experts and why, its parameters in total"
          + " and per token, and the memory that shares of its experts need on the CPU.",
      "Reads headers only, so the time does not depend on the size of the weights. What it does not"
          + " understand is a remark."
    },
    footer = {
      "",
      "Examples:",
      "  winnow inspect models/kjv-moe",
      "  winnow inspect /models/Qwen3-30B-A3B --json"
    })
final class InspectCommand extends Subcommand {
  private static final int[] BUDGET_PERCENTAGES = {10, 25, 50, 75, 100};

  @Parameters(
      paramLabel = "PATH",
      description = ModelOptions.PATH + "; or an index, or one safetensors file")
  private Path path;

  @Option(names = "--json", description = "print JSON, with every layer")
  private boolean json;

  @Override
  int run(Terminal terminal) throws IOException {
    ModelReport report = ModelReport.of(path);
    if (json) {
      try (JsonGenerator generator = JsonDocument.to(terminal.out())) {
        write(generator, report);
      }
      terminal.out().println();
      terminal.out().flush();
    } else {
      print(terminal.out(), report);
    }
    return ExitCode.DONE;
  }

  private static void print(PrintWriter out, ModelReport report) {
    Table facts = Table.ofFacts();
    facts.row("checkpoint", report.path().toString());
    facts.row("family", report.family() == null ? "unknown" : report.family());
    facts.row(
        "kind",
        report.isMixtureOfExperts()
            ? "mixture of experts (" + reasons(report) + ")"
            : "dense (no sign of experts)");
    facts.row(
        "parameters",
        Units.roughCount(report.parameters()) + " (" + Units.count(report.parameters()) + ")");
    report
        .activeParameters()
        .ifPresent(
            active ->
                facts.row(
                    "  per token",
                    Units.roughCount(active)
                        + " ("
                        + Units.count(active)
                        + "), "
                        + Units.percent(report.sparsity())
                        + " not used"));
    if (report.auxiliaryParameters() > 0)
      facts.row(
          "  auxiliary", Units.roughCount(report.auxiliaryParameters()) + ", not counted above");
    facts.row(
        "size",
        Units.bytes(report.sizeBytes())
            + " in "
            + Units.count(report.numTensors())
            + (report.numTensors() == 1 ? " tensor: " : " tensors: ")
            + formats(report));
    report
        .bytesPerToken()
        .ifPresent(
            bytes ->
                facts.row(
                    "  per token", Units.bytes(bytes) + " read if nothing is kept in memory"));
    report
        .contextLength()
        .ifPresent(length -> facts.row("context", Units.count(length) + " tokens"));
    for (String line : layers(report))
      facts.row(line.startsWith(" ") ? "" : "layers", line.strip());
    if (report.expertBytes() > 0)
      facts.row(
          "in memory",
          Units.bytes(report.slotBytes())
              + " per expert on the CPU, "
              + Units.bytes(report.fullBudgetBytes())
              + " for all");
    if (report.isMixtureOfExperts() && report.granularity() > 0) {
      facts.row(
          "granularity",
          Units.threeDigits(report.granularity()) + " (width of an expert / width of the model)");
    }
    facts.row(
        "generate",
        report.obstacles().isEmpty()
            ? "can run it"
            : "cannot run it, because " + String.join("; ", report.obstacles()));
    if (report.defaults() != null) addDefaults(facts, report.defaults());
    for (String remark : report.remarks()) facts.row("remark", remark);
    facts.print(out);
    if (report.fullBudgetBytes() > 0) printBudgets(out, report);
  }

  private static void addDefaults(Table facts, ModelReport.Defaults defaults) {
    boolean inBf16 = defaults.activations() == DType.BF16;
    facts.row(
        "activations",
        defaults.activations()
            + (inBf16
                ? ", as matrices are stored in 16 bits (--activations f32 rounds nothing)"
                : ", as all matrices are stored in f32"));
    facts.row(
        "key-value cache",
        defaults.cacheType()
            + ", as the activations (--cache-type for another), "
            + Units.bytes(defaults.cacheBytesPerToken())
            + " per token");
  }

  private static String reasons(ModelReport report) {
    return String.join(", ", report.reasons());
  }

  private static String formats(ModelReport report) {
    List<String> names = new ArrayList<>();
    for (ModelReport.Format format : report.formats()) {
      names.add(
          format.name()
              + (report.formats().size() > 1 ? " " + Units.bytes(format.sizeBytes()) : "")
              + (format.computed() ? "" : " (not supported yet)"));
    }
    return String.join(", ", names);
  }

  /** One line for each run of equal layers. */
  private static List<String> layers(ModelReport report) {
    List<String> lines = new ArrayList<>();
    List<ModelReport.Layer> layers = report.layers();
    boolean isOneStack = layers.stream().map(ModelReport.Layer::stack).distinct().count() == 1;
    for (int begin = 0, end; begin < layers.size(); begin = end) {
      ModelReport.Layer first = layers.get(begin);
      end = begin + 1;
      while (end < layers.size() && isAlike(first, layers.get(end))) end++;
      int last = layers.get(end - 1).index();
      String range = first.index() == last ? Integer.toString(last) : first.index() + " to " + last;
      String stack = isOneStack ? "" : first.stack() + " ";
      lines.add((lines.isEmpty() ? "" : " ") + stack + range + ": " + describe(first));
    }
    return lines;
  }

  private static boolean isAlike(ModelReport.Layer a, ModelReport.Layer b) {
    return a.stack().equals(b.stack())
        && a.numExperts() == b.numExperts()
        && a.topK() == b.topK()
        && a.expertBytes() == b.expertBytes()
        && a.sharedParameters() == b.sharedParameters()
        && a.parameters() == b.parameters();
  }

  private static String describe(ModelReport.Layer layer) {
    String parameters = Units.roughCount(layer.parameters()) + " parameters";
    if (layer.numExperts() == 0) return "dense, " + parameters;
    return layer.numExperts()
        + " experts of "
        + Units.bytes(layer.expertBytes())
        + (layer.topK() > 0 ? ", " + layer.topK() + " per token" : "")
        + (layer.sharedParameters() > 0
            ? ", and shared ones of " + Units.roughCount(layer.sharedParameters())
            : "")
        + "; "
        + parameters;
  }

  private static void printBudgets(PrintWriter out, ModelReport report) {
    out.println();
    Table budgets =
        Table.withHeading("budget", "bytes", "experts held", "per layer", "with all other weights");
    for (int percentage : BUDGET_PERCENTAGES) {
      ModelReport.Budget budget = report.budget(percentage / 100.0);
      budgets.row(
          percentage + " %",
          Units.bytes(budget.budgetBytes()),
          Units.count(budget.numExperts()),
          Units.threeDigits(budget.expertsPerLayer()),
          Units.bytes(budget.totalBytes()));
    }
    budgets.print(out);
  }

  private static void write(JsonGenerator json, ModelReport report) throws IOException {
    json.writeStartObject();
    json.writeStringField("path", report.path().toString());
    json.writeStringField("family", report.family());
    if (report.contextLength().isPresent())
      json.writeNumberField("context_length", report.contextLength().getAsInt());
    json.writeBooleanField("mixture_of_experts", report.isMixtureOfExperts());
    writeStrings(json, "reasons", report.reasons());
    json.writeNumberField("parameters", report.parameters());
    if (report.activeParameters().isPresent())
      json.writeNumberField("active_parameters", report.activeParameters().getAsLong());
    json.writeNumberField("auxiliary_parameters", report.auxiliaryParameters());
    json.writeNumberField("sparsity", report.sparsity());
    json.writeNumberField("granularity", report.granularity());
    json.writeNumberField("num_tensors", report.numTensors());
    json.writeNumberField("size_bytes", report.sizeBytes());
    json.writeNumberField("expert_bytes", report.expertBytes());
    json.writeNumberField("slot_bytes", report.slotBytes());
    json.writeNumberField("full_budget_bytes", report.fullBudgetBytes());
    json.writeNumberField("other_bytes", report.residentBytes());
    if (report.bytesPerToken().isPresent())
      json.writeNumberField("bytes_per_token", report.bytesPerToken().getAsLong());
    if (report.defaults() != null) {
      json.writeStringField("activations", report.defaults().activations().toString());
      json.writeStringField("cache_type", report.defaults().cacheType().toString());
      json.writeNumberField("cache_bytes_per_token", report.defaults().cacheBytesPerToken());
    }
    json.writeNumberField("leading_dense_layers", report.leadingDenseLayers());
    json.writeArrayFieldStart("formats");
    for (ModelReport.Format format : report.formats()) {
      json.writeStartObject();
      json.writeStringField("name", format.name());
      json.writeNumberField("num_tensors", format.numTensors());
      json.writeNumberField("size_bytes", format.sizeBytes());
      json.writeBooleanField("computed", format.computed());
      json.writeEndObject();
    }
    json.writeEndArray();
    writeStrings(json, "obstacles", report.obstacles());
    writeStrings(json, "remarks", report.remarks());
    writeLayers(json, report);
    writeBudgets(json, report);
    json.writeEndObject();
  }

  private static void writeLayers(JsonGenerator json, ModelReport report) throws IOException {
    json.writeArrayFieldStart("layers");
    for (ModelReport.Layer layer : report.layers()) {
      json.writeStartObject();
      json.writeStringField("stack", layer.stack());
      json.writeNumberField("index", layer.index());
      json.writeNumberField("num_experts", layer.numExperts());
      json.writeNumberField("top_k", layer.topK());
      json.writeNumberField("expert_parameters", layer.expertParameters());
      json.writeNumberField("expert_bytes", layer.expertBytes());
      json.writeNumberField("shared_parameters", layer.sharedParameters());
      json.writeNumberField("parameters", layer.parameters());
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  private static void writeBudgets(JsonGenerator json, ModelReport report) throws IOException {
    json.writeArrayFieldStart("budgets");
    for (int percentage : report.fullBudgetBytes() > 0 ? BUDGET_PERCENTAGES : new int[0]) {
      ModelReport.Budget budget = report.budget(percentage / 100.0);
      json.writeStartObject();
      json.writeNumberField("percent", percentage);
      json.writeNumberField("budget_bytes", budget.budgetBytes());
      json.writeNumberField("num_experts", budget.numExperts());
      json.writeNumberField("experts_per_layer", budget.expertsPerLayer());
      json.writeNumberField("total_bytes", budget.totalBytes());
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  private static void writeStrings(JsonGenerator json, String name, List<String> values)
      throws IOException {
    json.writeArrayFieldStart(name);
    for (String value : values) json.writeString(value);
    json.writeEndArray();
  }
}
