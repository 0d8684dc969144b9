package org.winnow.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads JSON that a command has written, as maps, lists, strings, numbers and booleans. */
final class JsonTree {
  private JsonTree() {}

  /** The value in a text that holds only one. */
  static Map<?, ?> parse(String text) throws IOException {
    try (JsonParser json = new JsonFactory().createParser(text)) {
      Map<?, ?> object = (Map<?, ?>) value(json, json.nextToken());
      if (json.nextToken() != null) throw new IOException("more than one value");
      return object;
    }
  }

  private static Object value(JsonParser json, JsonToken token) throws IOException {
    switch (token) {
      case START_OBJECT -> {
        Map<String, Object> object = new LinkedHashMap<>();
        while (json.nextToken() != JsonToken.END_OBJECT) {
          String name = json.currentName();
          if (object.put(name, value(json, json.nextToken())) != null)
            throw new IOException("twice: " + name);
        }
        return object;
      }
      case START_ARRAY -> {
        List<Object> array = new ArrayList<>();
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
