package org.winnow.models;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * Reads the small sections of a tokenizer.json as trees of Map, List, String, Long, Number, Boolean
 * and null. All sections together hold a limited number of values.
 */
final class TokenizerTree {
  private static final int MAX_VALUES = 500_000; // 16,384 added tokens of ten values, and the rest

  private final Path file;
  private final JsonParser parser;
  private int numValues;

  TokenizerTree(Path file, JsonParser parser) {
    this.file = file;
    this.parser = parser;
  }

  /** The value at the parser's place. */
  @Nullable Object value() throws IOException {
    if (++numValues > MAX_VALUES)
      throw new CheckpointException(
          file, null, "at most " + MAX_VALUES + " values beside the vocabulary", "more");
    return switch (parser.currentToken()) {
      case START_OBJECT -> {
        Map<String, @Nullable Object> object = new LinkedHashMap<>();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String key = parser.currentName();
          if (object.containsKey(key)) throw Json.duplicate(file, key);
          parser.nextToken();
          object.put(key, value());
        }
        yield object;
      }
      case START_ARRAY -> {
        List<@Nullable Object> array = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) array.add(value());
        yield array;
      }
      case VALUE_STRING -> parser.getText();
      case VALUE_NUMBER_INT ->
          parser.getNumberValue() instanceof Integer small
              ? (Object) small.longValue()
              : parser.getNumberValue();
      case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
      case VALUE_TRUE -> Boolean.TRUE;
      case VALUE_FALSE -> Boolean.FALSE;
      case VALUE_NULL -> null;
      default -> throw Json.unexpected(file, null, "a value", parser);
    };
  }

  /** Requires a kind of token at the parser's place. */
  void require(JsonToken token, String key, String expected) throws IOException {
    if (parser.currentToken() != token) throw Json.unexpected(file, key, expected, parser);
  }
}
