package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import org.winnow.models.ExpertBudget;

/**
 * What {@code winnow bench --end-to-end} found: as tables and as JSON.
 *
 * @param model a path, or the name of a made model
 */
record EndToEndReport(
    String model, List<Integer> threadCounts, EndToEndOptions options, List<BenchSeries> results) {
  /**
   * The name of a model in results: of a made one, all that its contents depend on.
   *
   * @param path the checkpoint
   */
  static String nameOf(Path path, EndToEndOptions options) {
    Path given = options.path();
    return given == null ? path.getFileName().toString() : given.toString();
  }

  void print(PrintWriter out) {
    out.println(
        model + ": " + options.rounds() + " rounds; median, lowest to highest of all runs\n");
    Table table =
        Table.withHeading(
            "", "threads", "budget", "measured", "", "share of limit", "experts read");
    for (BenchSeries result : results) {
      table.row(
          result.key().name(),
          Integer.toString(result.key().threads()),
          result.key().budget(),
          result.spread().toString(),
          result.unit(),
          Units.percent(result.share()),
          Double.isNaN(result.missedExperts())
              ? "-"
              : Units.count(Math.round(result.missedExperts())));
    }
    table.print(out);
  }

  void write(JsonGenerator json, Machine machine) throws IOException {
    json.writeStartObject();
    json.writeStringField("benchmark", "end to end");
    machine.write(json);
    writeOptions(json);
    json.writeArrayFieldStart("results");
    for (BenchSeries result : results) result.write(json);
    json.writeEndArray();
    json.writeEndObject();
  }

  private void writeOptions(JsonGenerator json) throws IOException {
    json.writeObjectFieldStart("options");
    json.writeStringField("model", model);
    json.writeFieldName("threads");
    json.writeArray(
        threadCounts.stream().mapToInt(Integer::intValue).toArray(), 0, threadCounts.size());
    JsonDocument.strings(
        json, "budgets", options.budgets().stream().map(ExpertBudget::toString).toList());
    JsonDocument.strings(json, "tests", options.tests().stream().map(SpeedTest::name).toList());
    json.writeNumberField("rounds", options.rounds());
    json.writeNumberField("runs", options.runs());
    json.writeEndObject();
  }
}
