package org.winnow.models;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * The values of a configuration, as a {@link ConfigTable} reads them.
 *
 * @param table what they were read with
 * @param config where they come from
 * @param unsupported what of them Winnow does not compute, one sentence each; more is added while a
 *     configuration is read
 */
record ConfigValues(
    ConfigTable table,
    ConfigObject config,
    Map<ConfigKey<?>, Object> values,
    List<String> unsupported) {

  /** The value, or null if the key has none or the family does not have the key. */
  @SuppressWarnings("unchecked") // a row has the type of its key
  <T> @Nullable T get(ConfigKey<T> key) {
    return (T) values.get(key);
  }

  <T> T or(ConfigKey<T> key, T other) {
    T value = get(key);
    return value == null ? other : value;
  }

  boolean isTrue(ConfigKey<Boolean> key) {
    return or(key, false);
  }

  /**
   * The value of a key that always has one in this family.
   *
   * @throws CheckpointException if it has none
   */
  <T> T require(ConfigKey<T> key) {
    T value = get(key);
    if (value == null) throw fault(key, "a value", null);
    return value;
  }

  CheckpointException fault(ConfigKey<?> key, String expected, @Nullable Object found) {
    return config.fault(key.name(), expected, found);
  }
}
