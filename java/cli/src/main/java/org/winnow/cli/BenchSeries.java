package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** The runs of one end-to-end benchmark, all rounds together. */
final class BenchSeries {
  /**
   * Which benchmark it is.
   *
   * @param name such as {@code "pp512"}
   * @param threads that computed
   * @param budget for experts, such as {@code "25 %"}
   */
  record Key(String name, int threads, String budget) {}

  private final Key key;
  private final String unit;
  private final List<Double> values = new ArrayList<>();
  private final List<Double> shares = new ArrayList<>();
  private final List<Double> missed = new ArrayList<>();

  /**
   * @param unit {@code "tokens/s"} or {@code "s"}
   */
  BenchSeries(Key key, String unit) {
    this.key = key;
    this.unit = unit;
  }

  Key key() {
    return key;
  }

  void add(double value) {
    values.add(value);
  }

  void add(OpenedModel.Run run) {
    values.add(run.tokensPerSecond());
    missed.add((double) run.missedExperts());
    if (run.work().isKnown()) shares.add(run.limits().share(run.work(), run.type(), run.seconds()));
  }

  Spread spread() {
    return Spread.of(values);
  }

  String unit() {
    return unit;
  }

  /** The median share of the limit; NaN if it is not known. */
  double share() {
    return shares.isEmpty() ? Double.NaN : Spread.of(shares).median();
  }

  /** Experts that a run had to read, the median; NaN where that was not counted. */
  double missedExperts() {
    return missed.isEmpty() ? Double.NaN : Spread.of(missed).median();
  }

  void write(JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", key.name());
    json.writeNumberField("threads", key.threads());
    json.writeStringField("budget", key.budget());
    json.writeStringField("unit", unit);
    spread().write(json);
    if (!shares.isEmpty()) JsonDocument.number(json, "share_of_limit", share());
    if (!missed.isEmpty()) JsonDocument.number(json, "experts_read", missedExperts());
    json.writeArrayFieldStart("samples");
    for (double value : values) json.writeNumber(value);
    json.writeEndArray();
    json.writeEndObject();
  }
}
