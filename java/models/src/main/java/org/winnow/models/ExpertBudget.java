package org.winnow.models;

import java.math.BigDecimal;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A limit on the memory for a model's experts: a number of bytes, or a share of the bytes that all
 * experts need.
 */
public final class ExpertBudget {
  /** Enough for all experts. They are still read only when they are chosen. */
  public static final ExpertBudget ALL = ofShare(1);

  private static final Pattern TEXT =
      Pattern.compile("([0-9]+(?:\\.[0-9]+)?)\\s*(%|b|([kmgt])(i?b?))?", Pattern.CASE_INSENSITIVE);

  private final long bytes; // -1 if the budget is a share
  private final double share;

  private ExpertBudget(long bytes, double share) {
    this.bytes = bytes;
    this.share = share;
  }

  /**
   * A budget in bytes.
   *
   * @throws IllegalArgumentException if {@code bytes} is not positive
   */
  public static ExpertBudget ofBytes(long bytes) {
    if (bytes < 1)
      throw new IllegalArgumentException("budget must be at least 1 byte, found " + bytes);
    return new ExpertBudget(bytes, 0);
  }

  /**
   * A budget relative to all experts.
   *
   * @param share share of the bytes of all experts, in (0, 1]
   * @throws IllegalArgumentException if {@code share} is outside that range
   */
  public static ExpertBudget ofShare(double share) {
    if (!(share > 0 && share <= 1))
      throw new IllegalArgumentException(
          "budget must lie in (0 %, 100 %], found " + percent(share) + " %");
    return new ExpertBudget(-1, share);
  }

  /**
   * Parses a budget. Case and the space before the unit do not matter, and a number may have
   * decimals.
   *
   * <ul>
   *   <li>{@code 25%}: a share of the bytes of all experts
   *   <li>{@code 4096}, {@code 4096B}: bytes
   *   <li>{@code 2G}, {@code 2Gi}, {@code 2GiB}: units of 1024, here 2 * 2^30 bytes; also K, M and
   *       T
   *   <li>{@code 2GB}: units of 1000, here 2 * 10^9 bytes; also KB, MB and TB
   * </ul>
   *
   * @throws IllegalArgumentException if {@code text} is none of these, is a fraction of a byte, or
   *     lies outside the ranges of {@link #ofBytes} and {@link #ofShare}
   */
  public static ExpertBudget parse(String text) {
    Matcher matcher = TEXT.matcher(text.strip());
    if (!matcher.matches()) throw unreadable(text);
    BigDecimal number = new BigDecimal(matcher.group(1));
    String unit = matcher.group(2) == null ? "" : matcher.group(2);
    if (unit.equals("%")) return ofShare(number.doubleValue() / 100);
    if (matcher.group(3) == null) {
      if (number.stripTrailingZeros().scale() > 0) throw unreadable(text);
      return ofBytes(text, number);
    }
    int power = 1 + "kmgt".indexOf(matcher.group(3).toLowerCase(Locale.ROOT));
    int base = matcher.group(4).equalsIgnoreCase("b") ? 1000 : 1024;
    return ofBytes(text, number.multiply(BigDecimal.valueOf(base).pow(power)));
  }

  private static ExpertBudget ofBytes(String text, BigDecimal value) {
    if (value.compareTo(BigDecimal.valueOf(Long.MAX_VALUE)) > 0)
      throw new IllegalArgumentException("budget must be less than 2^63 bytes, found " + text);
    return ofBytes(value.longValue());
  }

  private static IllegalArgumentException unreadable(String text) {
    return new IllegalArgumentException(
        "budget must be like 25%, 2GiB or 2G (2^30 bytes each), 1500MB (10^6 bytes each) or 4096"
            + " (bytes), found "
            + text);
  }

  /** This budget in bytes, rounded down, if all experts need {@code expertBytes}. */
  public long resolveBytes(long expertBytes) {
    return bytes >= 0 ? bytes : (long) Math.floor(share * expertBytes);
  }

  /**
   * A share in percent: {@code 7} for 0.07. The product 0.07 * 100 would be slightly more in
   * binary.
   */
  private static String percent(double share) {
    if (!Double.isFinite(share)) return Double.toString(share);
    return BigDecimal.valueOf(share).movePointRight(2).stripTrailingZeros().toPlainString();
  }

  @Override
  public String toString() {
    return bytes >= 0 ? String.format(Locale.ROOT, "%,d bytes", bytes) : percent(share) + " %";
  }
}
