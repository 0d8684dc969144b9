package org.winnow.cuda;

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
      Map<String, Object> counters = object(fields.get("counters"));
      Object value = counters.get(name);
      if (!(value instanceof Long number))
        throw new IllegalArgumentException(
            "no counter " + name + "; there are " + counters.keySet());
      return number;
    }

    /** What was read and written of an allocation, or null if it was not touched. */
    Map<String, Object> traffic(long address) {
      return allocations().stream()
          .filter(allocation -> allocation.get("address").equals(address))
          .findFirst()
          .orElse(null);
    }

    /** What was read and written of each allocation that was touched. */
    List<Map<String, Object>> allocations() {
      List<?> touched = (List<?>) object(fields.get("counters")).get("allocations");
      return touched.stream().map(GpuReport::object).toList();
    }
  }

  /** What happened since it was last taken; waits for nothing: read a result first. */
  static GpuReport take() {
    Map<String, Object> json = object(parse(GpuSim.takeReports()));
    List<Launch> launches =
        list(json, "launches").stream()
            .map(launch -> new Launch((String) object(launch).get("kernel"), object(launch)))
            .toList();
    return new GpuReport(
        launches,
        list(json, "findings").stream().map(Object::toString).toList(),
        list(json, "refused").stream().map(Object::toString).toList(),
        (Long) json.get("graph_launches"));
  }

  /** Sum of a counter over the launches of kernels whose names begin so. */
  long total(String kernelPrefix, String counter) {
    return launches.stream()
        .filter(launch -> launch.kernel().startsWith(kernelPrefix))
        .mapToLong(launch -> launch.counter(counter))
        .sum();
  }

  private static List<?> list(Map<String, Object> json, String name) {
    return (List<?>) json.getOrDefault(name, List.of());
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
