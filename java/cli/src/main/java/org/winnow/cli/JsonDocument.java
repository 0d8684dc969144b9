package org.winnow.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The results of a command as JSON. Numbers that are not finite are null. */
final class JsonDocument {
  private static final JsonFactory FACTORY = new JsonFactory();

  private JsonDocument() {}

  /** Writes one value. */
  @FunctionalInterface
  interface Content {
    void write(JsonGenerator json) throws IOException;
  }

  /** A generator for a writer. Closing the generator does not close the writer. */
  static JsonGenerator to(Writer writer) throws IOException {
    return FACTORY
        .createGenerator(writer)
        .disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)
        .useDefaultPrettyPrinter();
  }

  /** The document for people and programs: indented, a newline at its end. */
  static String text(Content content) {
    return written(content, true) + "\n";
  }

  /** The document in one line, without a newline. */
  static String line(Content content) {
    return written(content, false);
  }

  /** Fields as an object in one line. */
  static String object(Content fields) {
    return line(
        json -> {
          json.writeStartObject();
          fields.write(json);
          json.writeEndObject();
        });
  }

  private static String written(Content content, boolean indented) {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = FACTORY.createGenerator(text)) {
      if (indented) json.useDefaultPrettyPrinter();
      content.write(json);
    } catch (IOException e) {
      throw new UncheckedIOException(e); // a StringWriter has no errors
    }
    return text.toString();
  }

  /** Writes a number, or null if it is NaN or infinite, which JSON cannot express. */
  static void number(JsonGenerator json, String name, double value) throws IOException {
    if (Double.isFinite(value)) json.writeNumberField(name, value);
    else json.writeNullField(name);
  }

  /** Writes a text, or null. */
  static void string(JsonGenerator json, String name, @Nullable String value) throws IOException {
    if (value == null) json.writeNullField(name);
    else json.writeStringField(name, value);
  }

  static void strings(JsonGenerator json, String name, List<String> values) throws IOException {
    json.writeArrayFieldStart(name);
    for (String value : values) json.writeString(value);
    json.writeEndArray();
  }

  static void ids(JsonGenerator json, String name, int[] ids) throws IOException {
    json.writeFieldName(name);
    json.writeArray(ids, 0, ids.length);
  }
}
