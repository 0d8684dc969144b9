package org.winnow.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A line of a file of prompts: an object with {@code prompt} or {@code prompt_ids}, and any of
 * {@code id} and the names of sampling options.
 */
final class PromptLine {
  private static final JsonFactory FACTORY =
      JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  private final SamplingOptions sampling = new SamplingOptions();
  private @Nullable String text;
  private int @Nullable [] ids;
  private @Nullable String id; // as JSON

  /**
   * Reads the line. What precedes an error is kept, so that the error can be reported with the
   * line's id.
   *
   * @throws IllegalArgumentException saying what is wrong with it
   */
  void read(String json) {
    try (JsonParser parser = FACTORY.createParser(json)) {
      if (parser.nextToken() != JsonToken.START_OBJECT)
        throw new IllegalArgumentException("expected a JSON object");
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        if (parser.nextToken() != JsonToken.VALUE_NULL) readField(parser, name);
      }
      if (parser.nextToken() != null)
        throw new IllegalArgumentException("expected one JSON object, found more after it");
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          "not JSON: "
              + e.getOriginalMessage().replaceAll(" \\(start marker at .*?\\]\\)", "")
              + ", at column "
              + e.getLocation().getColumnNr());
    } catch (IOException e) {
      throw new IllegalArgumentException(e); // a string has no other errors
    }
    if ((text == null) == (ids == null))
      throw new IllegalArgumentException("expected either prompt or prompt_ids");
  }

  private void readField(JsonParser json, String name) throws IOException {
    switch (name) {
      case "id" -> id = scalar(json);
      case "prompt" -> text = string(json, name);
      case "prompt_ids" -> ids = ids(json);
      case "max_tokens" -> sampling.maxTokens = integer(json, name);
      case "temperature" -> sampling.temperature = number(json, name);
      case "top_k" -> sampling.topK = integer(json, name);
      case "top_p" -> sampling.topP = number(json, name);
      case "min_p" -> sampling.minP = number(json, name);
      case "repetition_penalty" -> sampling.repetitionPenalty = number(json, name);
      case "greedy" -> sampling.greedy = flag(json, name);
      case "stop" -> sampling.stop = strings(json, name);
      case "logprobs" -> sampling.logprobs = integer(json, name);
      case "seed" -> sampling.seed = wholeNumber(json, name);
      default -> throw new IllegalArgumentException("there is no field " + name);
    }
  }

  private static String scalar(JsonParser json) throws IOException {
    if (!json.currentToken().isScalarValue()) throw wrong("id", "a string or a number", json);
    return json.hasToken(JsonToken.VALUE_STRING) ? quoted(json.getText()) : json.getText();
  }

  private static String quoted(String value) {
    return JsonDocument.line(json -> json.writeString(value));
  }

  private static String string(JsonParser json, String name) throws IOException {
    if (!json.hasToken(JsonToken.VALUE_STRING)) throw wrong(name, "a string", json);
    String text = json.getText();
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(text))
      throw new IllegalArgumentException(
          name + " must be text, found half of a surrogate pair in it");
    return text;
  }

  private static long wholeNumber(JsonParser json, String name) throws IOException {
    boolean fits =
        json.hasToken(JsonToken.VALUE_NUMBER_INT)
            && json.getNumberType() != JsonParser.NumberType.BIG_INTEGER;
    if (!fits) throw wrong(name, "an integer", json);
    return json.getLongValue();
  }

  private static int integer(JsonParser json, String name) throws IOException {
    long value = wholeNumber(json, name);
    if (value != (int) value) throw wrong(name, "an integer of 32 bits", json);
    return (int) value;
  }

  private static double number(JsonParser json, String name) throws IOException {
    if (!json.currentToken().isNumeric()) throw wrong(name, "a number", json);
    return json.getDoubleValue();
  }

  private static boolean flag(JsonParser json, String name) throws IOException {
    if (!json.currentToken().isBoolean()) throw wrong(name, "true or false", json);
    return json.getBooleanValue();
  }

  /** One string, or an array of them. */
  private static List<String> strings(JsonParser json, String name) throws IOException {
    if (!json.hasToken(JsonToken.START_ARRAY)) return List.of(string(json, name));
    List<String> strings = new ArrayList<>();
    while (json.nextToken() != JsonToken.END_ARRAY) strings.add(string(json, name));
    return strings;
  }

  private static int[] ids(JsonParser json) throws IOException {
    if (!json.hasToken(JsonToken.START_ARRAY)) throw wrong("prompt_ids", "an array", json);
    IntStream.Builder ids = IntStream.builder();
    while (json.nextToken() != JsonToken.END_ARRAY) ids.add(integer(json, "prompt_ids"));
    return ids.build().toArray();
  }

  private static IllegalArgumentException wrong(String name, String expected, JsonParser json)
      throws IOException {
    String found = json.getText();
    return new IllegalArgumentException(
        name
            + " must be "
            + expected
            + ", found "
            + (found.length() > 40 ? found.substring(0, 40) + "..." : found));
  }

  /** The text of the prompt, or null if it is given as ids. */
  @Nullable String text() {
    return text;
  }

  int @Nullable [] ids() {
    return ids;
  }

  /** The id that the line gives itself, as JSON, or null. */
  @Nullable String id() {
    return id;
  }

  SamplingOptions sampling() {
    return sampling;
  }
}
