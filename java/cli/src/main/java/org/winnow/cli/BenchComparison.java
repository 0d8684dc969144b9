package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * This run's results beside those of an earlier one.
 *
 * @param file of the earlier results
 */
record BenchComparison(Path file, Map<String, Measured> earlier, Map<String, Measured> now) {
  /** Whether this run has all results of the earlier one. Names those that it has not. */
  boolean isComplete(Terminal terminal) {
    List<String> missing =
        earlier.keySet().stream().filter(name -> !now.containsKey(name)).toList();
    for (String name : missing)
      terminal.err().println("winnow: " + file + " has '" + name + "', which this run has not");
    terminal.err().flush();
    return missing.isEmpty();
  }

  void print(PrintWriter out) {
    out.println("\nspeed relative to " + file + ", share of limit then and now:\n");
    Table table = Table.withHeading("", "speed", "share then", "share now");
    now.forEach(
        (name, result) -> {
          @Nullable Measured before = earlier.get(name);
          table.row(
              name,
              before == null ? "new" : result.speedup(before).toString(),
              before == null ? "-" : Units.percent(before.share()),
              Units.percent(result.share()));
        });
    table.print(out);
  }

  /** Writes it as the field {@code comparison}. */
  void write(JsonGenerator json) throws IOException {
    json.writeArrayFieldStart("comparison");
    for (Map.Entry<String, Measured> result : now.entrySet()) {
      @Nullable Measured before = earlier.get(result.getKey());
      if (before == null) continue;
      json.writeStartObject();
      json.writeStringField("name", result.getKey());
      json.writeObjectFieldStart("speed");
      result.getValue().speedup(before).write(json);
      json.writeEndObject();
      JsonDocument.number(json, "share_of_limit_then", before.share());
      JsonDocument.number(json, "share_of_limit_now", result.getValue().share());
      json.writeEndObject();
    }
    json.writeEndArray();
  }
}
