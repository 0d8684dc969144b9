package org.winnow.workload;

/**
 * What a call does at least.
 *
 * @param bytes to read from memory, each once
 * @param operations multiplications and additions, each counted
 */
public record Work(double bytes, double operations) {
  /** Of a call that neither memory nor arithmetic limits. */
  public static final Work UNKNOWN = new Work(Double.NaN, Double.NaN);

  /** Whether there is a limit to compare with. */
  public boolean isKnown() {
    return !Double.isNaN(bytes);
  }
}
