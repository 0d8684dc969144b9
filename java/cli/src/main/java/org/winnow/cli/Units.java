package org.winnow.cli;

import java.util.Locale;

/** Formats numbers for people. The result does not depend on the locale of the machine. */
final class Units {
  private static final String[] BINARY = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  private static final String[] DECIMAL = {"", " thousand", " million", " billion", " trillion"};

  private Units() {}

  /** {@code 1572864} as {@code "1.50 MiB"}, with three digits. */
  static String bytes(long bytes) {
    double value = bytes;
    int unit = 0;
    while (Math.abs(value) >= 1023.5 && unit < BINARY.length - 1) {
      value /= 1024;
      unit++;
    }
    return unit == 0 ? bytes + " B" : threeDigits(value) + " " + BINARY[unit];
  }

  /** {@code 10783232} as {@code "10,783,232"}. */
  static String count(long count) {
    return String.format(Locale.ROOT, "%,d", count);
  }

  /** {@code 10783232} as {@code "10.8 million"}. */
  static String roughCount(long count) {
    double value = count;
    int unit = 0;
    while (Math.abs(value) >= 999.5 && unit < DECIMAL.length - 1) {
      value /= 1000;
      unit++;
    }
    return unit == 0 ? Long.toString(count) : threeDigits(value) + DECIMAL[unit];
  }

  /** {@code 0.253} as {@code "25.3 %"}; a dash for NaN. */
  static String percent(double share) {
    return Double.isNaN(share) ? "-" : String.format(Locale.ROOT, "%.1f %%", 100 * share);
  }

  /** {@code 1234567890} as {@code "1.23 s"}, or in ms or us. */
  static String duration(long nanos) {
    if (nanos < 999_500) return threeDigits(nanos / 1e3) + " us";
    if (nanos < 999_500_000) return threeDigits(nanos / 1e6) + " ms";
    return nanos < 120_000_000_000L
        ? threeDigits(nanos / 1e9) + " s"
        : nanos / 60_000_000_000L + " min " + nanos / 1_000_000_000 % 60 + " s";
  }

  /**
   * {@code 61.234} as {@code "61.2"}, {@code 0.01234} as {@code "0.012"}: at most three decimals.
   */
  static String threeDigits(double value) {
    double magnitude = Math.abs(value);
    if (!(magnitude < 1e15)) return Double.toString(value);
    int decimals =
        magnitude >= 99.95
            ? 0
            : magnitude >= 9.995 ? 1 : magnitude >= 0.9995 || magnitude == 0 ? 2 : 3;
    return String.format(Locale.ROOT, "%." + decimals + "f", value);
  }
}
