package org.winnow.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Reads JSON that a command has written, as maps, lists, strings, numbers and booleans. */
final class JsonTree {
  private JsonTree() {}

  /** The object that a text holds, and nothing else. */
  static Map<?, ?> parse(String text) throws IOException {
    try (JsonParser json = new JsonFactory().createParser(text)) {
      if (!(value(json, json.nextToken()) instanceof Map<?, ?> object))
        throw new IOException("no object");
      if (json.nextToken() != null) throw new IOException("more than one value");
      return object;
    }
  }

  private static @Nullable Object value(JsonParser json, @Nullable JsonToken token)
      throws IOException {
    if (token == null) throw new IOException("no value");
    switch (token) {
      case START_OBJECT -> {
        Map<String, @Nullable Object> object = new LinkedHashMap<>();
        while (json.nextToken() != JsonToken.END_OBJECT) {
          String name = json.currentName();
          if (object.containsKey(name)) throw new IOException("twice: " + name);
          object.put(name, value(json, json.nextToken()));
        }
        return object;
      }
      case START_ARRAY -> {
        List<@Nullable Object> array = new ArrayList<>();
        for (JsonToken next = json.nextToken();
            next != JsonToken.END_ARRAY;
            next = json.nextToken()) array.add(value(json, next));
        return array;
      }
      case VALUE_NUMBER_INT -> {
        return json.getLongValue();
      }
      case VALUE_NUMBER_FLOAT -> {
        return json.getDoubleValue();
      }
      case VALUE_STRING -> {
        return json.getText();
      }
      case VALUE_TRUE, VALUE_FALSE -> {
        return json.getBooleanValue();
      }
      case VALUE_NULL -> {
        return null;
      }
      default -> throw new IOException("unexpected " + token);
    }
  }
}
