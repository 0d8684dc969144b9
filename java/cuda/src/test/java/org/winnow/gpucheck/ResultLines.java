package org.winnow.gpucheck;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A file of results, one JSON object without nesting a line. A line is there once it is added. */
public final class ResultLines {
  /** System property of the parts' processes: the file to write. */
  public static final String PROPERTY = "winnow.gpucheck.results";

  private static final JsonFactory JSON = new JsonFactory();

  private final Path file;

  public ResultLines(Path file) {
    this.file = file;
  }

  /** Appends a line; values are strings, numbers and booleans. */
  public synchronized void add(Map<String, ?> values) {
    try {
      StringWriter line = new StringWriter();
      try (JsonGenerator json = JSON.createGenerator(line)) {
        JsonText.write(json, values);
      }
      Files.writeString(file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + file, e);
    }
  }

  /** All lines; one that was cut short by the end of its process is left out. */
  public List<Map<String, Object>> read() {
    List<Map<String, Object>> lines = new ArrayList<>();
    try {
      if (!Files.exists(file)) return lines;
      for (String line : Files.readAllLines(file)) {
        try {
          lines.add(parse(line));
        } catch (IOException e) {
          // the last line of a process that was stopped
        }
      }
      return lines;
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + file, e);
    }
  }

  private static Map<String, Object> parse(String line) throws IOException {
    Map<String, Object> values = new LinkedHashMap<>();
    try (JsonParser json = JSON.createParser(line)) {
      json.nextToken();
      while (json.nextToken() != JsonToken.END_OBJECT) {
        String name = json.currentName();
        if (name == null) throw new IOException("cut short");
        values.put(
            name,
            switch (json.nextToken()) {
              case VALUE_NUMBER_INT -> json.getLongValue();
              case VALUE_NUMBER_FLOAT -> json.getDoubleValue();
              case VALUE_TRUE -> true;
              case VALUE_FALSE -> false;
              default -> json.getText();
            });
      }
    }
    return values;
  }
}
