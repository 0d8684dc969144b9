package org.winnow.models;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a key means in a family's configurations. Several spellings may be there if they agree; null
 * counts only where no spelling has a value.
 *
 * @param spellings at least one; messages name the first where none is there
 * @param absent what counts where no spelling is there
 * @param ifNull what counts where a spelling is null
 * @param computed the values that Winnow computes; empty for all of the type. Of a list, the
 *     entries. Other values are read, but a model with one cannot be opened
 */
record ConfigRow<T>(
    ConfigKey<T> key,
    List<String> spellings,
    ConfigType<T> type,
    Missing<T> absent,
    Missing<T> ifNull,
    List<Object> computed) {

  /**
   * What counts where a key has no value.
   *
   * @param refused whether the configuration is refused then
   * @param value the value; null if there is none
   */
  record Missing<T>(boolean refused, @Nullable T value) {}

  /** A row with the key's name as its only spelling. The key is required. */
  static <T> ConfigRow<T> of(ConfigKey<T> key, ConfigType<T> type) {
    Missing<T> refused = new Missing<>(true, null);
    return new ConfigRow<>(key, List.of(key.name()), type, refused, refused, List.of());
  }

  /** All spellings; they replace the key's name. */
  ConfigRow<T> spelled(String... newSpellings) {
    return new ConfigRow<>(key, List.of(newSpellings), type, absent, ifNull, computed);
  }

  /** The value where the key is absent. */
  ConfigRow<T> absent(T value) {
    return new ConfigRow<>(key, spellings, type, new Missing<>(false, value), ifNull, computed);
  }

  /** The value where the key is null. */
  ConfigRow<T> ifNull(T value) {
    return new ConfigRow<>(key, spellings, type, absent, new Missing<>(false, value), computed);
  }

  /** The key may be absent. It has no value then. */
  ConfigRow<T> optional() {
    return new ConfigRow<>(key, spellings, type, new Missing<>(false, null), ifNull, computed);
  }

  /** The key may be null. It has no value then. */
  ConfigRow<T> nullable() {
    return new ConfigRow<>(key, spellings, type, absent, new Missing<>(false, null), computed);
  }

  /** The key must be there. */
  ConfigRow<T> required() {
    Missing<T> refused = new Missing<>(true, null);
    return new ConfigRow<>(key, spellings, type, refused, refused, computed);
  }

  /** The only values that Winnow computes. */
  ConfigRow<T> only(Object... values) {
    return new ConfigRow<>(
        key, spellings, type, absent, ifNull, List.copyOf(Arrays.asList(values)));
  }

  /**
   * The value in a configuration, or null if it has none.
   *
   * @throws org.winnow.CheckpointException naming the key, what was expected and what was found
   */
  @Nullable T read(ConfigObject config) {
    T value = null;
    String first = null;
    String nullSpelling = null;
    for (String spelling : spellings) {
      if (!config.contains(spelling)) continue;
      Object json = config.get(spelling);
      if (json == null) {
        nullSpelling = spelling;
        continue;
      }
      T found = type.read(json);
      if (found == null) throw config.fault(spelling, type.expected(), json);
      if (value != null && !value.equals(found))
        throw config.fault(spelling, value + " as its other spelling " + first + " says", json);
      value = found;
      first = spelling;
    }
    if (value != null) return value;
    Missing<T> missing = nullSpelling == null ? absent : ifNull;
    if (missing.refused()) {
      String named = nullSpelling == null ? spellings.get(0) : nullSpelling;
      throw config.fault(named, type.expected(), null);
    }
    return missing.value();
  }

  /** Whether Winnow computes a model with this value, or with this entry of a list. */
  boolean computes(Object value) {
    return computed.isEmpty() || computed.contains(value);
  }
}
