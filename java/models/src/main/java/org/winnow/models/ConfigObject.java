package org.winnow.models;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * A JSON object of a configuration. Reading a key checks its type and bounds. A key may have
 * several spellings. A null value counts as absent. Spellings with different values are an error.
 */
final class ConfigObject {
  private final Path file;
  private final String prefix; // written before keys in messages: "rope_scaling."
  private final Map<String, @Nullable Object> values;

  ConfigObject(Path file, Map<String, @Nullable Object> values) {
    this(file, "", values);
  }

  private ConfigObject(Path file, String prefix, Map<String, @Nullable Object> values) {
    this.file = file;
    this.prefix = prefix;
    this.values = values;
  }

  Path file() {
    return file;
  }

  /** Whether the key is there, perhaps as null. */
  boolean contains(String key) {
    return values.containsKey(key);
  }

  /** The JSON value of a key; null if it is null or absent. */
  @Nullable Object get(String key) {
    return values.get(key);
  }

  boolean isEmpty() {
    return values.isEmpty();
  }

  boolean isObject(String key) {
    return values.get(key) instanceof Map;
  }

  /** An object that counts as the value of a key. */
  ConfigObject inner(String key, Map<String, @Nullable Object> newValues) {
    return new ConfigObject(file, prefix + key + ".", newValues);
  }

  /** The first of these keys that has a string, or null. Other values are ignored. */
  @Nullable String firstText(String... keys) {
    for (String key : keys) if (values.get(key) instanceof String text) return text;
    return null;
  }

  /** A list of strings, or an empty one if the key has anything else. */
  List<String> textsOrNone(String key) {
    List<String> texts = new ConfigType.Texts().read(Objects.requireNonNullElse(get(key), ""));
    return texts == null ? List.of() : texts;
  }

  /** This object with these keys of another one where this one has no value. */
  ConfigObject withMissing(ConfigObject other, String... keys) {
    Map<String, @Nullable Object> merged = new LinkedHashMap<>(values);
    for (String key : keys)
      if (other.contains(key) && merged.get(key) == null) merged.put(key, other.get(key));
    return new ConfigObject(file, prefix, merged);
  }

  boolean has(String... spellings) {
    return value(spellings) != null;
  }

  int integer(int least, int most, String... spellings) {
    Object value = value(spellings);
    if (!(value instanceof Long number) || number < least || number > most) {
      throw fault(spellings[0], "an integer from " + least + " to " + most, value);
    }
    return number.intValue();
  }

  int integerOr(int absent, int least, int most, String... spellings) {
    return has(spellings) ? integer(least, most, spellings) : absent;
  }

  /**
   * A finite number in [least, most]. If the key is absent, returns {@code absent}; null means that
   * the key is required.
   */
  Double number(@Nullable Double absent, double least, double most, String... spellings) {
    Object value = value(spellings);
    if (value == null && absent != null) return absent;
    double number = value instanceof Number found ? found.doubleValue() : Double.NaN;
    if (!(number >= least && number <= most))
      throw fault(spellings[0], "a number from " + least + " to " + most, value);
    return number;
  }

  boolean flag(boolean absent, String... spellings) {
    Object value = value(spellings);
    if (value == null) return absent;
    if (!(value instanceof Boolean flag)) throw fault(spellings[0], "true or false", value);
    return flag;
  }

  String text(String absent, String... spellings) {
    String text = textOrNull(spellings);
    return text == null ? absent : text;
  }

  /** A string, or null if the key is absent. */
  @Nullable String textOrNull(String... spellings) {
    Object value = value(spellings);
    if (value == null) return null;
    if (!(value instanceof String text)) throw fault(spellings[0], "a string", value);
    return text;
  }

  String requireText(String... spellings) {
    String text = textOrNull(spellings);
    if (text == null) throw fault(spellings[0], "a string", null);
    return text;
  }

  /** The object under a key, or null if the key is absent. */
  @Nullable ConfigObject object(String... spellings) {
    Object value = value(spellings);
    if (value == null) return null;
    if (!(value instanceof Map<?, ?> map)) throw fault(spellings[0], "an object", value);
    Map<String, @Nullable Object> copy = new LinkedHashMap<>();
    map.forEach((key, entry) -> copy.put((String) key, entry));
    return new ConfigObject(file, prefix + spellings[0] + ".", copy);
  }

  List<String> texts(String key) {
    List<String> texts = new ArrayList<>();
    for (Object entry : list(key, "a list of strings")) {
      if (!(entry instanceof String text)) throw fault(key, "a list of strings", entry);
      texts.add(text);
    }
    return List.copyOf(texts);
  }

  /** A list of integers. A single integer counts as a list of one. */
  List<Integer> integers(int least, int most, String key) {
    String expected = "integers from " + least + " to " + most;
    List<?> entries = value(key) instanceof Long single ? List.of(single) : list(key, expected);
    List<Integer> integers = new ArrayList<>();
    for (Object entry : entries) {
      if (!(entry instanceof Long number) || number < least || number > most)
        throw fault(key, expected, entry);
      integers.add(number.intValue());
    }
    return List.copyOf(integers);
  }

  /** Ids of tokens: one or a list. No token has the id -1, with which models say that none has. */
  List<Integer> tokens(String key) {
    return integers(-1, Integer.MAX_VALUE, key).stream().filter(id -> id >= 0).toList();
  }

  private List<?> list(String key, String expected) {
    Object value = value(key);
    if (value == null) return List.of();
    if (!(value instanceof List<?> list)) throw fault(key, expected, value);
    return list;
  }

  private @Nullable Object value(String... spellings) {
    Object first = null;
    for (String spelling : spellings) {
      Object value = values.get(spelling);
      if (first != null && value != null && !first.equals(value))
        throw fault(spelling, describe(first) + " as its other spelling says", value);
      if (first == null) first = value;
    }
    return first;
  }

  CheckpointException fault(String key, String expected, @Nullable Object found) {
    boolean isNull = found == null && contains(key) && get(key) == null;
    return new CheckpointException(
        file, prefix + key, expected, isNull ? "null" : describe(found == null ? get(key) : found));
  }

  /** A sentence about a value that Winnow does not compute. */
  String unsupported(String key, String supported, Object found) {
    return prefix + key + " " + describe(found) + " is not supported (" + supported + " is)";
  }

  /** Values that a message offers: {@code "silu" or "relu"}. */
  static String list(List<?> values) {
    List<String> texts = new ArrayList<>();
    for (Object value : values) texts.add(describe(value));
    return String.join(" or ", texts);
  }

  private static String describe(@Nullable Object value) {
    if (value == null) return "nothing";
    if (value instanceof Map) return "an object";
    if (value instanceof List<?> list) return "a list of " + list.size();
    return Json.quote(value instanceof String ? "\"" + value + "\"" : value.toString());
  }
}
