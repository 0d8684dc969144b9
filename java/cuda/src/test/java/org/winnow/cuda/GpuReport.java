package org.winnow.cuda;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the stand-in has seen: launches with their counters, findings, refused calls. JSON objects
 * are maps, arrays are lists, numbers are longs or doubles; names are gpusim.h's.
 */
record GpuReport(
    List<Launch> launches, List<String> findings, List<String> refused, long graphLaunches) {
  /** One launch of a kernel. */
  record Launch(String kernel, Map<String, Object> fields) {
    /** A counter by its name: {@code "global_load_bytes"}. */
    long counter(String name) {
      return (Long) required(object(required(fields, "counters")), name);
    }

    /** What was read and written of an allocation, or null if it was not touched. */
    Map<String, Object> traffic(long address) {
      return allocations().stream()
          .filter(allocation -> required(allocation, "address").equals(address))
          .findFirst()
          .orElse(null);
    }

    /** What was read and written of each allocation that was touched. */
    List<Map<String, Object>> allocations() {
      return list(object(required(fields, "counters")), "allocations").stream()
          .map(GpuReport::object)
          .toList();
    }
  }

  /**
   * What happened since it was last taken; waits for nothing: read a result first.
   *
   * @throws AssertionError if something was found
   */
  static GpuReport take() {
    GpuReport report = of(GpuSim.takeReports());
    assertTrue(report.findings.isEmpty(), () -> String.join("\n", report.findings));
    return report;
  }

  /**
   * That report, with any result.
   *
   * @throws IllegalArgumentException if a part is missing
   */
  static GpuReport of(String json) {
    Map<String, Object> report = object(parse(json));
    return new GpuReport(
        list(report, "launches").stream()
            .map(GpuReport::object)
            .map(launch -> new Launch((String) required(launch, "kernel"), launch))
            .toList(),
        list(report, "findings").stream().map(Object::toString).toList(),
        list(report, "refused").stream().map(Object::toString).toList(),
        (Long) required(report, "graph_launches"));
  }

  /** Sum of a counter over the launches of kernels whose names begin so. */
  long total(String kernelPrefix, String counter) {
    return launches.stream()
        .filter(launch -> launch.kernel().startsWith(kernelPrefix))
        .mapToLong(launch -> launch.counter(counter))
        .sum();
  }

  private static List<?> list(Map<String, Object> json, String name) {
    return (List<?>) required(json, name);
  }

  private static Object required(Map<String, Object> json, String name) {
    Object value = json.get(name);
    if (value == null)
      throw new IllegalArgumentException("no " + name + "; there are " + json.keySet());
    return value;
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> object(Object value) {
    return (Map<String, Object>) value;
  }

  private static Object parse(String text) {
    try (JsonParser parser = new JsonFactory().createParser(text)) {
      parser.nextToken();
      return value(parser);
    } catch (IOException e) {
      throw new UncheckedIOException("the stand-in's report is no JSON: " + text, e);
    }
  }

  private static Object value(JsonParser parser) throws IOException {
    switch (parser.currentToken()) {
      case START_OBJECT -> {
        Map<String, Object> fields = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String name = parser.currentName();
          parser.nextToken();
          fields.put(name, value(parser));
        }
        return fields;
      }
      case START_ARRAY -> {
        List<Object> items = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) items.add(value(parser));
        return items;
      }
      case VALUE_STRING -> {
        return parser.getText();
      }
      case VALUE_NUMBER_INT -> {
        return parser.getLongValue();
      }
      case VALUE_NUMBER_FLOAT -> {
        return parser.getDoubleValue();
      }
      case VALUE_TRUE, VALUE_FALSE -> {
        return parser.getBooleanValue();
      }
      default -> {
        return null;
      }
    }
  }
}
