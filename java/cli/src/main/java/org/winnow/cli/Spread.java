package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.List;

/**
 * What several runs gave.
 *
 * @param median the middle one in order, or the mean of the two in the middle
 */
record Spread(double median, double lowest, double highest) {
  /**
   * @param values at least one
   */
  static Spread of(List<Double> values) {
    double[] sorted = values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    int half = sorted.length / 2;
    double median = sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    return new Spread(median, sorted[0], sorted[sorted.length - 1]);
  }

  /** {@code "12.3 (11.9 to 12.8)"}; the median alone if all are equal. */
  @Override
  public String toString() {
    String middle = Units.threeDigits(median);
    return lowest == highest
        ? middle
        : middle + " (" + Units.threeDigits(lowest) + " to " + Units.threeDigits(highest) + ")";
  }

  void write(JsonGenerator json) throws IOException {
    JsonDocument.number(json, "median", median);
    JsonDocument.number(json, "lowest", lowest);
    JsonDocument.number(json, "highest", highest);
  }
}
