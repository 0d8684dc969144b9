package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.winnow.Backend;
import org.winnow.CheckpointException;

/** The results of all cases of a call of {@code winnow verify --operation}. */
final class OperationCases {
  private static final String EXTENSION = ".safetensors";

  /**
   * What came out of one case.
   *
   * @param verdicts one for each expected tensor; empty if there is no check for the operation
   */
  record Outcome(Path file, String operation, String mode, List<TensorVerdict> verdicts) {
    boolean isChecked() {
      return !verdicts.isEmpty();
    }

    boolean passes() {
      return isChecked() && verdicts.stream().allMatch(TensorVerdict::passes);
    }
  }

  private final List<Outcome> outcomes = new ArrayList<>();

  /**
   * Runs the cases in the files and below the folders, in the order of their names.
   *
   * @throws CheckpointException naming the file, what was expected and what was found, if a case is
   *     malformed, or if a folder has none
   */
  OperationCases(List<Path> paths, Backend backend) throws IOException {
    List<Path> files = new ArrayList<>();
    for (Path path : paths) files.addAll(filesOf(path));
    for (Path file : files) outcomes.add(run(file, backend));
  }

  private static List<Path> filesOf(Path path) throws IOException {
    if (!Files.isDirectory(path)) return List.of(path);
    try (Stream<Path> below = Files.walk(path)) {
      List<Path> files = below.filter(p -> p.toString().endsWith(EXTENSION)).sorted().toList();
      if (files.isEmpty())
        throw new CheckpointException(path, null, "files that end in " + EXTENSION, "none");
      return files;
    }
  }

  private static Outcome run(Path file, Backend backend) {
    try (OperationCase given = new OperationCase(file, backend)) {
      String operation = given.option("operation");
      String mode = given.option("mode");
      OperationCheck check = OperationCheck.find(operation, mode);
      if (check == null) return new Outcome(file, operation, mode, List.of());
      check.run(given);
      return new Outcome(file, operation, mode, given.verdicts());
    }
  }

  List<Outcome> outcomes() {
    return List.copyOf(outcomes);
  }

  boolean pass() {
    return outcomes.stream().allMatch(Outcome::passes);
  }

  void print(PrintWriter out, String backend) {
    Table table =
        Table.withHeading("case", "tensor", "largest error", "tolerance", "at element", "");
    for (Outcome outcome : outcomes) {
      for (TensorVerdict verdict : outcome.verdicts()) row(table, outcome.file(), verdict);
    }
    table.print(out);
    for (Outcome outcome : outcomes) {
      if (!outcome.isChecked())
        out.println(
            "no check for operation "
                + outcome.operation()
                + ", mode "
                + outcome.mode()
                + ": "
                + outcome.file());
    }
    long passed = outcomes.stream().filter(Outcome::passes).count();
    out.println(
        (pass() ? "passed" : "FAILED")
            + ", "
            + passed
            + " of "
            + outcomes.size()
            + " cases, backend "
            + backend);
    out.flush();
  }

  private static void row(Table table, Path file, TensorVerdict verdict) {
    String name = file.getFileName().toString();
    if (!verdict.isCompared()) {
      table.row(name, verdict.name(), "-", "-", "-", "NOT COMPARED");
      return;
    }
    table.row(
        name,
        verdict.name(),
        verdict.isExact()
            ? (long) verdict.error() + " differ"
            : String.format(Locale.ROOT, "%.2e", verdict.error()),
        verdict.isExact() ? "exact" : String.format(Locale.ROOT, "%.1e", verdict.tolerance()),
        Units.count(verdict.worstIndex()),
        verdict.passes() ? "ok" : verdict.isExact() ? "DIFFERENT" : "TOO LARGE");
  }

  void write(JsonGenerator json, String backend) throws IOException {
    json.writeStartObject();
    json.writeStringField("backend", backend);
    json.writeBooleanField("passed", pass());
    json.writeArrayFieldStart("cases");
    for (Outcome outcome : outcomes) {
      json.writeStartObject();
      json.writeStringField("file", outcome.file().toString());
      json.writeStringField("operation", outcome.operation());
      json.writeStringField("mode", outcome.mode());
      json.writeBooleanField("checked", outcome.isChecked());
      json.writeBooleanField("passed", outcome.passes());
      json.writeArrayFieldStart("tensors");
      for (TensorVerdict verdict : outcome.verdicts()) write(json, verdict);
      json.writeEndArray();
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private static void write(JsonGenerator json, TensorVerdict verdict) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", verdict.name());
    json.writeBooleanField("compared", verdict.isCompared());
    JsonDocument.number(
        json, verdict.isExact() ? "different_elements" : "relative_error", verdict.error());
    json.writeNumberField("tolerance", verdict.tolerance());
    json.writeNumberField("worst_index", verdict.worstIndex());
    json.writeBooleanField("within_tolerance", verdict.passes());
    json.writeEndObject();
  }
}
