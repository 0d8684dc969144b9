package org.winnow.cli;

import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Collectors;

/** Names of the library's parameters as the user knows them, in messages that begin with one. */
final class Names {
  /** Stands between two names of parameters. */
  static final String CONTRADICTS = " contradicts ";

  private Names() {}

  /** The message with {@code topK} at its beginning as {@code --top-k}. */
  static String option(IllegalArgumentException failure) {
    return replaced(failure, "--", "-");
  }

  /** The message with {@code topK} at its beginning as {@code top_k}. */
  static String field(IllegalArgumentException failure) {
    return replaced(failure, "", "_");
  }

  private static String replaced(
      IllegalArgumentException failure, String prefix, String separator) {
    String message = Objects.requireNonNull(failure.getMessage());
    return Arrays.stream(message.split(CONTRADICTS))
        .map(part -> named(part, prefix, separator))
        .collect(Collectors.joining(CONTRADICTS));
  }

  private static String named(String message, String prefix, String separator) {
    int end = message.indexOf(' ') < 0 ? message.length() : message.indexOf(' ');
    String name =
        message.substring(0, end).replaceFirst("^num(?=[A-Z])", "").replace("stopTexts", "stop");
    String words = name.replaceAll("(?<=[a-z])(?=[A-Z])", separator).toLowerCase(Locale.ROOT);
    return prefix + words + message.substring(end);
  }
}
