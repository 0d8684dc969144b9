package org.winnow.cli;

/**
 * A result of a benchmark, of this run or of an earlier one.
 *
 * @param unit {@code "s"}, or one of which more is better
 * @param share of the machine's limit; NaN if unknown
 */
record Measured(String unit, Spread spread, double share) {
  /** How many times as fast as an earlier one: above 1 if faster. */
  Spread speedup(Measured earlier) {
    Spread a = spread;
    Spread b = earlier.spread;
    return unit.equals("s")
        ? new Spread(b.median() / a.median(), b.lowest() / a.highest(), b.highest() / a.lowest())
        : new Spread(a.median() / b.median(), a.lowest() / b.highest(), a.highest() / b.lowest());
  }
}
