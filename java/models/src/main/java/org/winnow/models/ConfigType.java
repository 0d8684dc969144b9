package org.winnow.models;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Which JSON values a key may have.
 *
 * @param <T> type of the value that is read
 */
sealed interface ConfigType<T> {
  /** The value, or null if a key of this type may not have it. */
  @Nullable T read(Object json);

  /** What the key may have, for messages. */
  String expected();

  /** A whole number. {@code 64.0} is not one. */
  record Whole(int least, int most) implements ConfigType<Integer> {
    @Override
    public @Nullable Integer read(Object json) {
      return json instanceof Long number && number >= least && number <= most
          ? Integer.valueOf(number.intValue())
          : null;
    }

    @Override
    public String expected() {
      return "an integer from " + least + " to " + most;
    }
  }

  /** A finite number. */
  record Real(double least, double most) implements ConfigType<Double> {
    @Override
    public @Nullable Double read(Object json) {
      if (!(json instanceof Number number)) return null;
      double value = number.doubleValue();
      return value >= least && value <= most ? Double.valueOf(value) : null;
    }

    @Override
    public String expected() {
      return "a number from " + least + " to " + most;
    }
  }

  record Flag() implements ConfigType<Boolean> {
    @Override
    public @Nullable Boolean read(Object json) {
      return json instanceof Boolean flag ? flag : null;
    }

    @Override
    public String expected() {
      return "true or false";
    }
  }

  record Text() implements ConfigType<String> {
    @Override
    public @Nullable String read(Object json) {
      return json instanceof String text ? text : null;
    }

    @Override
    public String expected() {
      return "a string";
    }
  }

  record Texts() implements ConfigType<List<String>> {
    @Override
    public @Nullable List<String> read(Object json) {
      return list(json, new Text());
    }

    @Override
    public String expected() {
      return "a list of strings";
    }
  }

  record Wholes(int least, int most) implements ConfigType<List<Integer>> {
    @Override
    public @Nullable List<Integer> read(Object json) {
      return list(json, new Whole(least, most));
    }

    @Override
    public String expected() {
      return "a list of integers from " + least + " to " + most;
    }
  }

  private static <T> @Nullable List<T> list(Object json, ConfigType<T> type) {
    if (!(json instanceof List<?> entries)) return null;
    List<T> list = new ArrayList<>();
    for (Object entry : entries) {
      T value = entry == null ? null : type.read(entry);
      if (value == null) return null;
      list.add(value);
    }
    return List.copyOf(list);
  }
}
