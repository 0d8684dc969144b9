package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.memory.DiskProbe;
import org.winnow.workload.Limits;
import org.winnow.workload.Measurement;

/**
 * What {@code winnow bench} found: as tables, as a chart, as JSON.
 *
 * @param results in the order in which they were measured
 */
record BenchReport(List<Measurement> results) {
  /** The fields of a result in JSON that tell it from the others. */
  static final List<String> NAMES = List.of("operation", "shape", "type", "tokens");

  static void printLimits(
      PrintWriter out, CpuBackend backend, Limits limits, DiskProbe.Result disk) {
    Table.ofFacts()
        .row("backend", backend.description())
        .row(
            "memory, read",
            Units.threeDigits(limits.readBytesPerSecond() / 1e9)
                + " GB/s, huge pages where the system grants them")
        .row(
            "f32 arithmetic",
            Units.threeDigits(limits.f32OperationsPerSecond() / 1e9) + " Gop/s, in registers")
        .row(
            "bf16 arithmetic",
            Units.threeDigits(limits.bf16OperationsPerSecond() / 1e9) + " Gop/s, in registers")
        .row(
            "disk, read",
            Units.threeDigits(disk.gigabytesPerSecond())
                + " GB/s"
                + (disk.direct()
                    ? ", past the page cache"
                    : ", through the page cache: may be memory"))
        .print(out);
    out.println();
    out.flush();
  }

  void print(PrintWriter out) {
    Table table =
        Table.withHeading(
            "operation", "shape", "type", "tokens", "time", "GB/s", "Gop/s", "limited by", "share");
    for (Measurement result : results) {
      table.row(
          result.operation(),
          result.shape(),
          result.type().toString(),
          Integer.toString(result.numTokens()),
          Units.duration(Math.round(1e9 * result.seconds())),
          rate(result.bytesPerSecond()),
          rate(result.operationsPerSecond()),
          result.limitedBy(),
          Units.percent(result.share()));
    }
    table.print(out);
    out.println();
    Table means = Table.withHeading("MoE block, geometric mean", "tokens", "share");
    moeBlocks()
        .forEach(
            (size, blocks) -> {
              double logarithms =
                  blocks.stream().mapToDouble(block -> Math.log(block.share())).sum();
              means.row(
                  blocks.get(0).type().toString(),
                  Integer.toString(blocks.get(0).numTokens()),
                  Units.percent(Math.exp(logarithms / blocks.size())));
            });
    means.print(out);
  }

  private static String rate(double perSecond) {
    return Double.isNaN(perSecond) ? "-" : Units.threeDigits(perSecond / 1e9);
  }

  /** The layers of all models, by type and number of tokens as the chart's legend names them. */
  private Map<String, List<Measurement>> moeBlocks() {
    Map<String, List<Measurement>> blocks = new LinkedHashMap<>();
    for (Measurement result : results) {
      int tokens = result.numTokens();
      String size = result.type() + ", " + tokens + (tokens == 1 ? " token" : " tokens");
      if (result.operation().equals("MoE block"))
        blocks.computeIfAbsent(size, key -> new ArrayList<>()).add(result);
    }
    return blocks;
  }

  void draw(CpuBackend backend, OutputFile png) {
    BarChart chart =
        new BarChart(
            "Mixture-of-experts layers: share of the machine's limit, " + backend.description(),
            "% of the limit");
    moeBlocks()
        .forEach(
            (size, blocks) ->
                chart.add(
                    size,
                    blocks.stream().map(Measurement::shape).toList(),
                    blocks.stream()
                        .map(block -> (double) Math.round(1000 * block.share()) / 10)
                        .toList()));
    chart.write(png);
  }

  /**
   * What must be equal where results are compared: the fields at the beginning of the JSON.
   *
   * @param shapes of the layers that are measured
   */
  static void writeIdentity(JsonGenerator json, int threads, boolean quick, List<String> shapes)
      throws IOException {
    json.writeStringField("benchmark", "operations");
    Machine.ofThisProcess().write(json);
    json.writeObjectFieldStart("options");
    json.writeNumberField("threads", threads);
    json.writeBooleanField("quick", quick);
    JsonDocument.strings(json, "shapes", shapes);
    json.writeEndObject();
  }

  /** The results as those of other runs are read. */
  Map<String, Measured> measured() {
    Map<String, Measured> measured = new LinkedHashMap<>();
    for (Measurement result : results) {
      String name =
          result.operation()
              + ", "
              + result.shape()
              + ", "
              + result.type()
              + ", "
              + result.numTokens();
      double seconds = result.seconds();
      measured.put(name, new Measured("s", new Spread(seconds, seconds, seconds), result.share()));
    }
    return measured;
  }

  /**
   * @param identity writes the fields that say what was measured where
   */
  void write(
      JsonGenerator json,
      JsonDocument.Content identity,
      int threads,
      Limits limits,
      DiskProbe.Result disk,
      @Nullable BenchComparison comparison)
      throws IOException {
    json.writeStartObject();
    identity.write(json);
    json.writeNumberField("threads", threads);
    json.writeStringField("instruction_set", InstructionSet.best().toString());
    json.writeNumberField("memory_read_bytes_per_second", limits.readBytesPerSecond());
    json.writeNumberField("f32_operations_per_second", limits.f32OperationsPerSecond());
    json.writeNumberField("bf16_operations_per_second", limits.bf16OperationsPerSecond());
    json.writeNumberField("disk_read_bytes_per_second", disk.bytesRead() / disk.seconds());
    json.writeBooleanField("disk_direct", disk.direct());
    json.writeArrayFieldStart("results");
    for (Measurement result : results) {
      json.writeStartObject();
      json.writeStringField("operation", result.operation());
      json.writeStringField("shape", result.shape());
      json.writeStringField("type", result.type().toString());
      json.writeNumberField("tokens", result.numTokens());
      json.writeNumberField("seconds", result.seconds());
      if (result.work().isKnown()) {
        json.writeNumberField("bytes_per_second", result.bytesPerSecond());
        json.writeNumberField("operations_per_second", result.operationsPerSecond());
        json.writeNumberField("share_of_limit", result.share());
      }
      json.writeEndObject();
    }
    json.writeEndArray();
    if (comparison != null) comparison.write(json);
    json.writeEndObject();
  }
}
