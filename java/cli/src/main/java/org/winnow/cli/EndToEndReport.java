package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.cli.BenchSeries.Key;
import org.winnow.models.ExpertBudget;
import org.winnow.models.ModelConfig;
import org.winnow.models.ModelReport;
import org.winnow.workload.AttentionShape;

/**
 * What {@code winnow bench --end-to-end} measures, and found: as tables and as JSON.
 *
 * @param model a path, or the name of a made model
 * @param report of the model
 */
record EndToEndReport(
    String model, ModelReport report, List<Integer> threadCounts, EndToEndOptions options) {
  /** The named heads that a model's are like, or null. */
  static @Nullable AttentionShape attention(ModelConfig config) {
    if (config.latentAttention() != null) return null;
    ModelConfig.Attention heads = config.attention();
    for (AttentionShape shape : AttentionShape.values()) {
      if (!shape.isLatent()
          && shape.numHeads() == heads.numHeads()
          && shape.numKvHeads() == heads.numKvHeads()
          && shape.keyWidth() == heads.headDim()) return shape;
    }
    return null;
  }

  void print(PrintWriter out, EndToEndBench bench) {
    out.println(
        model
            + ": "
            + options.rounds()
            + (options.rounds() == 1 ? " round" : " rounds")
            + "; median, lowest to highest of all runs\n");
    Table table =
        Table.withHeading("", "threads", "budget", "measured", "share of limit", "experts read");
    for (BenchSeries result : bench.results().values()) {
      table.row(
          result.key().name(),
          Integer.toString(result.key().threads()),
          result.key().budget(),
          result.text(),
          Units.percent(result.share()),
          Double.isNaN(result.missedExperts())
              ? "-"
              : Units.count(Math.round(result.missedExperts())));
    }
    table.print(out);
    out.println("\nwhere the time of one run goes:\n");
    Table shares =
        Table.withHeading("operation", "test", "threads", "calls", "regions", "time", "share");
    bench.profiles().forEach(profile -> profile.addTo(shares));
    shares.print(out);
    for (PeerComparison peer : bench.peers()) printPeer(out, peer, bench.results());
  }

  private static void printPeer(
      PrintWriter out, PeerComparison peer, Map<Key, BenchSeries> series) {
    if (peer.failure() != null) {
      out.println("\n" + peer + ": failed: " + peer.failure());
      return;
    }
    out.println("\n" + peer + ":\n");
    Table table =
        Table.withHeading("", "threads", "budget", "tokens/s", "of the peer", "ratio by round");
    for (PeerComparison.Row row : peer.rows(series)) {
      table.row(
          row.key().name(),
          Integer.toString(row.key().threads()),
          row.key().budget(),
          row.ours().toString(),
          row.peer().toString(),
          row.ratio().toString());
    }
    table.print(out);
  }

  /** What must be equal where results are compared: the fields at the beginning of the JSON. */
  void writeIdentity(JsonGenerator json) throws IOException {
    json.writeStringField("benchmark", "end to end");
    Machine.ofThisProcess().write(json);
    json.writeObjectFieldStart("options");
    json.writeStringField("model", model);
    json.writeNumberField("parameters", report.parameters());
    json.writeNumberField("model_bytes", report.sizeBytes());
    writeInts(json, "threads", threadCounts);
    JsonDocument.strings(
        json, "budgets", options.budgets().stream().map(ExpertBudget::toString).toList());
    JsonDocument.strings(json, "tests", options.tests().stream().map(SpeedTest::name).toList());
    writeInts(json, "lengths", options.lengths());
    json.writeStringField("activations", orDefault(options.activations()));
    json.writeStringField("cache_type", orDefault(options.cacheType()));
    json.writeEndObject();
  }

  private static String orDefault(@Nullable DType type) {
    return type == null ? "default" : type.toString();
  }

  private static void writeInts(JsonGenerator json, String name, List<Integer> values)
      throws IOException {
    json.writeFieldName(name);
    json.writeArray(values.stream().mapToInt(Integer::intValue).toArray(), 0, values.size());
  }

  void write(JsonGenerator json, EndToEndBench bench, @Nullable BenchComparison comparison)
      throws IOException {
    json.writeStartObject();
    writeIdentity(json);
    json.writeNumberField("rounds", options.rounds());
    json.writeNumberField("runs", options.runs());
    json.writeArrayFieldStart("results");
    for (BenchSeries result : bench.results().values()) result.write(json);
    json.writeEndArray();
    json.writeArrayFieldStart("profile");
    for (OperationShares profile : bench.profiles()) profile.write(json);
    json.writeEndArray();
    json.writeArrayFieldStart("peers");
    for (PeerComparison peer : bench.peers()) peer.write(json, bench.results());
    json.writeEndArray();
    if (comparison != null) comparison.write(json);
    json.writeEndObject();
  }

  /** The results as those of other runs are read. */
  static Map<String, Measured> measured(EndToEndBench bench) {
    Map<String, Measured> measured = new LinkedHashMap<>();
    bench.results().forEach((key, series) -> measured.put(key.toString(), series.measured()));
    return measured;
  }
}
