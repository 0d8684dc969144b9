package org.winnow.models;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.util.JsonRecyclerPools;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * Reads the JSON of checkpoints as untrusted input. Text must be UTF-8. Nesting and the length of
 * names, numbers and strings are limited. Duplicate keys are errors. Every error is a {@link
 * CheckpointException} that names the file; an error of syntax also names the line.
 */
final class Json {
  /**
   * Usual configurations have a few kilobytes. Those that list quantised modules have a few
   * hundred.
   */
  static final long MAX_TREE_BYTES = 4L << 20;

  // Names are neither interned nor cached: a header has tens of thousands, each only once.
  private static final JsonFactory FACTORY = factory(32, 100);

  /** For configurations, in which keys that nothing reads may hold anything. */
  private static final JsonFactory TREES = factory(512, 10_000);

  private static final int MAX_QUOTED = 80; // characters of a wrong value that a message repeats

  private Json() {}

  private static JsonFactory factory(int maxNesting, int maxDigits) {
    return JsonFactory.builder()
        .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
        .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
        // buffers kept for a thread would keep the class loader of this library
        .recyclerPool(JsonRecyclerPools.nonRecyclingPool())
        .streamReadConstraints(
            StreamReadConstraints.builder()
                .maxNestingDepth(maxNesting)
                .maxNumberLength(maxDigits)
                .maxStringLength(1 << 20)
                .maxNameLength(1 << 12)
                .build())
        .build();
  }

  /** Reads a value. An IOException is reported as an error of the file. */
  interface Reader<T> {
    T read(JsonParser parser) throws IOException;
  }

  /**
   * Parses {@code size} bytes of an open stream. They must hold one value, followed by white space
   * only.
   */
  static <T> T parse(Path file, InputStream stream, long size, Reader<T> reader) {
    return parse(file, stream, size, FACTORY, reader);
  }

  private static <T> T parse(
      Path file, InputStream stream, long size, JsonFactory factory, Reader<T> reader) {
    // A strict decoder for UTF-8. Given bytes, the parser would accept UTF-16 and UTF-32 too.
    InputStreamReader text =
        new InputStreamReader(new Limited(stream, size), StandardCharsets.UTF_8.newDecoder());
    try (JsonParser parser = factory.createParser(text)) {
      T value = reader.read(parser);
      if (parser.nextToken() != null)
        throw unexpected(file, null, "nothing after the closing brace", parser);
      return value;
    } catch (JsonProcessingException e) {
      String place =
          e.getLocation() == null
              ? ""
              : " (line "
                  + e.getLocation().getLineNr()
                  + ", column "
                  + e.getLocation().getColumnNr()
                  + ")";
      throw new CheckpointException(
          file, null, "JSON", quote(String.valueOf(e.getOriginalMessage())) + place, e);
    } catch (CharacterCodingException e) {
      throw notUtf8(file, e);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  /** Parses a whole file of at most {@code maxBytes}. */
  static <T> T parse(Path file, long maxBytes, Reader<T> reader) {
    return parse(file, maxBytes, FACTORY, reader);
  }

  private static <T> T parse(Path file, long maxBytes, JsonFactory factory, Reader<T> reader) {
    long size = CheckpointFile.size(file);
    if (size > maxBytes)
      throw new CheckpointException(file, null, "at most " + maxBytes + " bytes", size + " bytes");
    try (InputStream stream = Files.newInputStream(file)) {
      return parse(file, stream, size, factory, reader);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  /**
   * Reads a small file as a tree of Map, List, String, Long, BigInteger, Double, Boolean and null.
   * Keys keep the order of the file. {@code NaN}, {@code Infinity} and {@code -Infinity} are
   * numbers, as in Python, which writes them.
   */
  static Map<String, @Nullable Object> readTree(Path file) {
    return parse(
        file,
        MAX_TREE_BYTES,
        TREES,
        parser -> {
          parser.enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS.mappedFeature());
          if (parser.nextToken() != JsonToken.START_OBJECT)
            throw unexpected(file, null, "an object", parser);
          return object(file, parser);
        });
  }

  /**
   * Checks that a file holds one JSON object. The library that reads the file afterwards is less
   * strict.
   */
  static void check(Path file, long maxBytes) {
    parse(
        file,
        maxBytes,
        parser -> {
          if (parser.nextToken() != JsonToken.START_OBJECT)
            throw unexpected(file, null, "an object", parser);
          return parser.skipChildren();
        });
  }

  private static Map<String, @Nullable Object> object(Path file, JsonParser parser)
      throws IOException {
    Map<String, @Nullable Object> object = new LinkedHashMap<>();
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      if (object.containsKey(key)) throw duplicate(file, key);
      parser.nextToken();
      object.put(key, value(file, parser));
    }
    return object;
  }

  private static @Nullable Object value(Path file, JsonParser parser) throws IOException {
    return switch (parser.currentToken()) {
      case START_OBJECT -> object(file, parser);
      case START_ARRAY -> array(file, parser);
      case VALUE_STRING -> parser.getText();
      case VALUE_NUMBER_INT ->
          parser.getNumberValue() instanceof Integer small
              ? (Object) small.longValue()
              : parser.getNumberValue();
      case VALUE_NUMBER_FLOAT -> {
        String text = parser.getText();
        boolean python = !text.endsWith("INF") && !text.startsWith("+"); // other names of infinity
        if (!python) throw unexpected(file, null, "a value", parser);
        yield parser.getDoubleValue();
      }
      case VALUE_TRUE -> Boolean.TRUE;
      case VALUE_FALSE -> Boolean.FALSE;
      case VALUE_NULL -> null;
      default -> throw unexpected(file, null, "a value", parser);
    };
  }

  private static List<@Nullable Object> array(Path file, JsonParser parser) throws IOException {
    List<@Nullable Object> array = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) array.add(value(file, parser));
    return array;
  }

  static CheckpointException duplicate(Path file, String key) {
    return new CheckpointException(file, quote(key), "one entry of this name", "a second one");
  }

  /** An exception for a parser that has found something other than {@code expected}. */
  static CheckpointException unexpected(
      Path file, @Nullable String tensor, String expected, JsonParser parser) throws IOException {
    JsonToken token = parser.currentToken();
    String found =
        token == null
            ? "the end"
            : token.isScalarValue() || token == JsonToken.FIELD_NAME
                ? quote(parser.getText())
                : token.asString();
    return new CheckpointException(
        file, tensor, expected, found.isBlank() ? "\"" + found + "\"" : found);
  }

  static CheckpointException unreadable(Path file, IOException cause) {
    if (cause instanceof CharacterCodingException) return notUtf8(file, cause);
    return new CheckpointException(
        file,
        null,
        "a readable file",
        cause.getClass().getSimpleName() + ": " + cause.getMessage(),
        cause);
  }

  private static CheckpointException notUtf8(Path file, IOException cause) {
    return new CheckpointException(file, null, "text in UTF-8", "other bytes", cause);
  }

  /** A value for a message, with limited length and without control characters. */
  static String quote(String text) {
    String part = text.length() <= MAX_QUOTED ? text : text.substring(0, MAX_QUOTED) + "...";
    return part.replaceAll("\\p{Cntrl}", "?");
  }

  /** The first bytes of a stream. Closing it does not close the stream. */
  private static final class Limited extends FilterInputStream {
    private long left;

    Limited(InputStream stream, long size) {
      super(stream);
      left = size;
    }

    @Override
    public int read() throws IOException {
      if (left == 0) return -1;
      int value = in.read();
      if (value >= 0) left--;
      return value;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      if (left == 0) return length == 0 ? 0 : -1;
      int count = in.read(target, offset, (int) Math.min(length, left));
      if (count > 0) left -= count;
      return count;
    }

    @Override
    public void close() {}
  }
}
