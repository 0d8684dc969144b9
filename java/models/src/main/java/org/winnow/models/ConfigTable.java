package org.winnow.models;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What the configurations of a family mean: a row for every key that the family's own code reads,
 * and the keys that other code reads and that would change the model. All other keys are ignored,
 * whatever they hold. Immutable.
 */
final class ConfigTable {
  private final Map<ConfigKey<?>, ConfigRow<?>> rows;
  private final Map<String, List<Object>> neutral;

  private ConfigTable(Map<ConfigKey<?>, ConfigRow<?>> rows, Map<String, List<Object>> neutral) {
    this.rows = rows;
    this.neutral = neutral;
  }

  static ConfigTable of(ConfigRow<?>... rows) {
    return new ConfigTable(Map.of(), Map.of()).with(rows);
  }

  /** This table with more rows. A row replaces that of the same key. */
  ConfigTable with(ConfigRow<?>... more) {
    Map<ConfigKey<?>, ConfigRow<?>> merged = new LinkedHashMap<>(rows);
    for (ConfigRow<?> row : more) merged.put(row.key(), row);
    Map<String, List<Object>> rest = new LinkedHashMap<>(neutral);
    for (ConfigRow<?> row : more) rest.keySet().removeAll(row.spellings());
    return new ConfigTable(merged, rest);
  }

  /** This table without rows for these keys. */
  ConfigTable without(ConfigKey<?>... keys) {
    Map<ConfigKey<?>, ConfigRow<?>> rest = new LinkedHashMap<>(rows);
    for (ConfigKey<?> key : keys) rest.remove(key);
    return new ConfigTable(rest, neutral);
  }

  /**
   * This table with a key that the family's own code does not read. Absent, null and these values
   * change nothing. With any other value the model is not computed.
   */
  ConfigTable neutral(String key, Object... values) {
    Map<String, List<Object>> merged = new LinkedHashMap<>(neutral);
    merged.put(key, List.of(values));
    return new ConfigTable(rows, merged);
  }

  /** The rows, in the order in which they were given. */
  List<ConfigRow<?>> rows() {
    return List.copyOf(rows.values());
  }

  /** The keys that must not have other values than these. */
  Map<String, List<Object>> neutral() {
    return Map.copyOf(neutral);
  }

  /** The row of a key, or null. */
  @SuppressWarnings("unchecked") // with() puts each row at its own key
  <T> @Nullable ConfigRow<T> row(ConfigKey<T> key) {
    return (ConfigRow<T>) rows.get(key);
  }

  /**
   * Reads all keys of this table.
   *
   * @throws org.winnow.CheckpointException naming the key that is missing or wrong
   */
  ConfigValues read(ConfigObject config) {
    Map<ConfigKey<?>, Object> values = new LinkedHashMap<>();
    List<String> unsupported = new ArrayList<>();
    for (ConfigRow<?> row : rows.values()) read(row, config, values, unsupported);
    neutral.forEach(
        (key, allowed) -> {
          Object found = config.get(key);
          if (found != null && allowed.stream().noneMatch(value -> equal(value, found)))
            unsupported.add(
                config.unsupported(
                    key, allowed.isEmpty() ? "null" : ConfigObject.list(allowed), found));
        });
    return new ConfigValues(this, config, values, unsupported);
  }

  private static <T> void read(
      ConfigRow<T> row,
      ConfigObject config,
      Map<ConfigKey<?>, Object> values,
      List<String> unsupported) {
    T value = row.read(config);
    if (value == null) return;
    values.put(row.key(), value);
    for (Object one : value instanceof List<?> list ? new LinkedHashSet<>(list) : Set.of(value))
      if (!row.computes(one))
        unsupported.add(
            config.unsupported(row.spellings().get(0), ConfigObject.list(row.computed()), one));
  }

  private static boolean equal(Object allowed, Object found) {
    return allowed instanceof Number a && found instanceof Number b
        ? a.doubleValue() == b.doubleValue()
        : allowed.equals(found);
  }
}
