package org.winnow.cli;

import static java.util.stream.Collectors.joining;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The results of an earlier run of the same benchmark on the same machine, with the same options,
 * from the JSON that it has written.
 */
final class EarlierResults {
  private static final long MAX_BYTES = 16 << 20;

  private final Path file;
  private final Map<?, ?> document;

  private EarlierResults(Path file, Map<?, ?> document) {
    this.file = file;
    this.document = document;
  }

  /**
   * Reads a file.
   *
   * @throws CommandException if it cannot be read or is none of this command's
   */
  static EarlierResults read(Path file) {
    try {
      if (Files.exists(file) && !Files.isRegularFile(file))
        throw refusal(file, "a file", Files.isDirectory(file) ? "a folder" : "none");
      if (Files.size(file) > MAX_BYTES)
        throw refusal(file, "at most " + MAX_BYTES + " bytes", Files.size(file) + " bytes");
      return new EarlierResults(file, JsonTree.parse(Files.readString(file)));
    } catch (IOException e) {
      String reason = ExitCode.reason(e).lines().findFirst().orElse("");
      throw new CommandException(ExitCode.BAD_INPUT, file + ": cannot be read: " + reason);
    }
  }

  /**
   * Checks that a run of now can be compared with it.
   *
   * @param now of this run: its benchmark, machine and options
   * @throws CommandException naming the first that differs
   */
  void requireLike(String now) {
    try {
      for (Map.Entry<?, ?> expected : JsonTree.parse(now).entrySet())
        requireEqual(
            expected.getKey().toString(), expected.getValue(), get(document, expected.getKey()));
    } catch (IOException e) {
      throw new IllegalStateException(e); // it was written by this program
    }
  }

  private static @Nullable Object get(Map<?, ?> map, Object key) {
    return map.get(key);
  }

  private void requireEqual(String name, Object expected, @Nullable Object found) {
    if (expected instanceof Map<?, ?> fields && found instanceof Map<?, ?> old) {
      for (Map.Entry<?, ?> field : fields.entrySet())
        requireEqual(name + "." + field.getKey(), field.getValue(), get(old, field.getKey()));
    } else if (!Objects.equals(expected, found)) {
      throw refusal(file, name + " of this run, " + expected, String.valueOf(found));
    }
  }

  private static CommandException refusal(Path file, String expected, String found) {
    return new CommandException(
        ExitCode.BAD_INPUT,
        file + ": cannot be compared: expected " + expected + ", found " + found);
  }

  /**
   * This run's results beside these.
   *
   * @param names fields that together name a result
   * @throws CommandException if a result is incomplete or no possible time or speed
   */
  BenchComparison compare(List<String> names, Map<String, Measured> now) {
    return new BenchComparison(file, results(names), now);
  }

  /**
   * Its results, each under the fields that say what it is.
   *
   * <p>A result has {@code seconds}, or {@code median}, {@code lowest} and {@code highest}.
   */
  private Map<String, Measured> results(List<String> names) {
    if (!(document.get("results") instanceof List<?> list)) throw refusal(file, "results", "none");
    Map<String, Measured> results = new LinkedHashMap<>();
    for (int i = 0; i < list.size(); i++) {
      String place = "results[" + i + "]";
      if (!(list.get(i) instanceof Map<?, ?> result))
        throw refusal(file, place + " to be an object", String.valueOf(list.get(i)));
      String label =
          names.stream().map(name -> String.valueOf(get(result, name))).collect(joining(", "));
      boolean once = result.containsKey("seconds");
      Spread spread =
          new Spread(
              positive(place, once ? "seconds" : "median", result),
              positive(place, once ? "seconds" : "lowest", result),
              positive(place, once ? "seconds" : "highest", result));
      Object share = get(result, "share_of_limit");
      Object unit = get(result, "unit");
      results.put(
          label,
          new Measured(
              unit == null ? "s" : unit.toString(),
              spread,
              share instanceof Number number ? number.doubleValue() : Double.NaN));
    }
    return results;
  }

  private double positive(String place, String name, Map<?, ?> result) {
    @Nullable Object found = get(result, name);
    if (found instanceof Number number
        && number.doubleValue() > 0
        && Double.isFinite(number.doubleValue())) return number.doubleValue();
    throw refusal(file, place + "." + name + " to be a positive number", String.valueOf(found));
  }
}
