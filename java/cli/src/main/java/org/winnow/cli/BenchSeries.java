package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.winnow.workload.Measurement;

/** The runs of one end-to-end benchmark, all rounds together. */
final class BenchSeries {
  /** The fields of {@link #write} that tell a series from the others. */
  static final List<String> NAMES = List.of("name", "threads", "budget");

  /**
   * Which benchmark it is.
   *
   * @param name such as {@code "pp512"}
   * @param threads that computed
   * @param budget for experts, such as {@code "25 %"}; a dash where there are none
   */
  record Key(String name, int threads, String budget) {
    @Override
    public String toString() {
      return name + ", " + threads + ", " + budget;
    }
  }

  private final Key key;
  private final String unit;
  private final List<List<Double>> rounds = new ArrayList<>();
  private final List<Double> shares = new ArrayList<>();
  private final List<Double> missed = new ArrayList<>();

  /**
   * @param unit {@code "s"}, or one of which more is better
   */
  BenchSeries(Key key, String unit) {
    this.key = key;
    this.unit = unit;
  }

  Key key() {
    return key;
  }

  void add(int round, double value) {
    while (rounds.size() <= round) rounds.add(new ArrayList<>());
    rounds.get(round).add(value);
  }

  void add(int round, OpenedModel.Run run) {
    add(round, run.tokensPerSecond());
    missed.add((double) run.missedExperts());
    if (run.work().isKnown()) shares.add(run.limits().share(run.work(), run.type(), run.seconds()));
  }

  /**
   * What mostly reads from disk: its share of the limit is that of the disk.
   *
   * @param diskBytesPerSecond NaN if it is not known
   */
  void add(int round, OpenedModel.Reading reading, double diskBytesPerSecond) {
    add(round, reading.seconds());
    if (diskBytesPerSecond > 0)
      shares.add(reading.bytes() / diskBytesPerSecond / reading.seconds());
  }

  /** Of an operation, whose runs have been summed up already. */
  void add(Measurement result) {
    add(0, result.seconds());
    shares.add(result.share());
  }

  private List<Double> values() {
    return rounds.stream().flatMap(List::stream).toList();
  }

  Spread spread() {
    return Spread.of(values());
  }

  /** The median of each round. */
  List<Double> roundMedians() {
    return rounds.stream().map(round -> Spread.of(round).median()).toList();
  }

  /** For people: the spread with its unit. */
  String text() {
    Spread spread = spread();
    if (!unit.equals("s")) return spread + " " + unit;
    String median = duration(spread.median());
    return spread.lowest() == spread.highest()
        ? median
        : median + " (" + duration(spread.lowest()) + " to " + duration(spread.highest()) + ")";
  }

  private static String duration(double seconds) {
    return Units.duration(Math.round(1e9 * seconds));
  }

  /** The median share of the limit; NaN if it is not known. */
  double share() {
    return shares.isEmpty() ? Double.NaN : Spread.of(shares).median();
  }

  /** Experts that a run had to read, the median; NaN where that was not counted. */
  double missedExperts() {
    return missed.isEmpty() ? Double.NaN : Spread.of(missed).median();
  }

  Measured measured() {
    return new Measured(unit, spread(), share());
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
    for (double value : values()) json.writeNumber(value);
    json.writeEndArray();
    json.writeEndObject();
  }
}
