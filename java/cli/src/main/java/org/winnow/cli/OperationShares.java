package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.winnow.OperationProfile;

/**
 * Where the time of one run of a test goes.
 *
 * @param threads that computed
 * @param seconds of the whole run
 * @param rows what the time went to, the longest first, the rest of the program last
 */
record OperationShares(SpeedTest test, int threads, double seconds, List<Row> rows) {
  /**
   * @param name of an operation, or of what is none
   * @param calls how often it ran; 0 for what is no operation
   * @param regions how many parts of it several threads shared
   */
  record Row(String name, long calls, long regions, double seconds) {}

  /**
   * @param seconds of the whole run, its operations and waits included
   * @param waitSeconds spent on waiting for experts to be read
   */
  static OperationShares of(
      SpeedTest test,
      int threads,
      double seconds,
      double waitSeconds,
      List<OperationProfile.Entry> entries) {
    List<Row> rows = new ArrayList<>();
    double rest = seconds - waitSeconds;
    for (OperationProfile.Entry entry : entries) {
      rows.add(new Row(entry.operation(), entry.calls(), entry.regions(), 1e-9 * entry.nanos()));
      rest -= 1e-9 * entry.nanos();
    }
    if (waitSeconds > 0) rows.add(new Row("waiting for experts", 0, 0, waitSeconds));
    rows.add(new Row("between operations", 0, 0, Math.max(0, rest)));
    return new OperationShares(test, threads, seconds, List.copyOf(rows));
  }

  void addTo(Table table) {
    for (Row row : rows) {
      table.row(
          row.name(),
          test.name(),
          Integer.toString(threads),
          row.calls() == 0 ? "-" : Units.count(row.calls()),
          row.calls() == 0 ? "-" : Units.count(row.regions()),
          Units.duration(Math.round(1e9 * row.seconds())),
          Units.percent(row.seconds() / seconds));
    }
  }

  void write(JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeStringField("test", test.name());
    json.writeNumberField("threads", threads);
    json.writeNumberField("seconds", seconds);
    json.writeArrayFieldStart("operations");
    for (Row row : rows) {
      json.writeStartObject();
      json.writeStringField("name", row.name());
      json.writeNumberField("calls", row.calls());
      json.writeNumberField("regions", row.regions());
      json.writeNumberField("seconds", row.seconds());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }
}
