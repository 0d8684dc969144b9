package org.winnow.workload;

import org.winnow.DType;

/**
 * A value in double precision, and the deviation of a result of f32 arithmetic from it. Roundings
 * to nearest are taken as independent errors with mean 0, each within half an ulp: their sum passes
 * {@link #bound()} with a probability of {@code 2 e^-32} (Hoeffding's inequality; Higham and Mary
 * 2019, "A new approach to probabilistic rounding error analysis"). A bound for the worst case
 * would let through an error of a fifth in a layer of 2048.
 *
 * @param deviation the root of the sum of the squares of half-ulps
 */
record Exact(double value, double deviation) {
  static final double U = 0x1p-24; // half an ulp of f32, relative
  private static final double DEVIATIONS = 8;

  /** How far a result may be from the value. */
  double bound() {
    return DEVIATIONS * deviation + Float.MIN_NORMAL;
  }

  /**
   * A product of a row and {@code a.length} elements of {@code b}. Each of k products and k sums is
   * off by at most {@code U sum|ab|}.
   */
  static Exact dot(float[] a, float[] b, int begin) {
    double sum = 0;
    double magnitude = 0;
    for (int k = a.length - 1; k >= 0; k--) {
      double term = (double) a[k] * b[begin + k];
      sum += term;
      magnitude += Math.abs(term);
    }
    return new Exact(sum, Math.sqrt(2.0 * a.length) * U * magnitude);
  }

  /** The same where the elements of the left side deviate. */
  static Exact dot(Exact[] a, float[] b) {
    double sum = 0;
    double magnitude = 0;
    double squares = 0;
    for (int k = a.length - 1; k >= 0; k--) {
      double term = a[k].value * b[k];
      double error = a[k].deviation * b[k];
      sum += term;
      magnitude += Math.abs(term) + Math.abs(error);
      squares += error * error;
    }
    return new Exact(sum, Math.sqrt(squares) + Math.sqrt(2.0 * a.length) * U * magnitude);
  }

  /**
   * {@code silu(gate) * up}. SiLU's slope is at most 1.1. Evaluating it costs at most 10 U |gate|:
   * exp within 4 U, four more roundings, and the argument's own rounding weighted by gate *
   * sigmoid'(gate) &lt; 0.23.
   */
  static Exact siluTimes(Exact gate, Exact up) {
    double silu = gate.value / (1 + Math.exp(-gate.value));
    double siluDeviation = 1.1 * gate.deviation + 10 * U * Math.abs(gate.value);
    double value = silu * up.value;
    double deviation =
        siluDeviation * (Math.abs(up.value) + up.deviation)
            + Math.abs(silu) * up.deviation
            + U * Math.abs(value);
    return new Exact(value, deviation);
  }

  /**
   * {@code this + weight * part}: the weight's own deviation, the part's, and the roundings of one
   * product and of the sums that it goes through.
   *
   * @param weightDeviation relative to the weight
   */
  Exact plus(double weight, double weightDeviation, Exact part) {
    double term = weight * part.value;
    return new Exact(
        value + term,
        deviation
            + Math.abs(term) * (weightDeviation + 16 * U)
            + weight * part.deviation * (1 + weightDeviation));
  }

  /** Rounded once to a type. */
  Exact roundedTo(DType type) {
    double unit = type == DType.BF16 ? 0x1p-8 : U;
    return new Exact(value, deviation + unit * (Math.abs(value) + deviation));
  }
}
