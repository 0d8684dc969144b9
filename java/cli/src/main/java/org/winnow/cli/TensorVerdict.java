package org.winnow.cli;

/**
 * How far a result is from the expected tensor.
 *
 * @param name the expected tensor's name in the file
 * @param error the largest error of an element, divided by the largest finite magnitude expected;
 *     infinite if an element is NaN, missing, or infinite on one side only; the number of elements
 *     that differ if {@code isExact}
 * @param tolerance the largest error allowed
 * @param worstIndex row-major index of the element with the largest error, or the first that
 *     differs; -1 if the tensor was not compared
 * @param isExact whether the tensor is discrete
 */
record TensorVerdict(
    String name, double error, double tolerance, long worstIndex, boolean isExact) {
  boolean passes() {
    return worstIndex >= 0 && error <= tolerance;
  }

  boolean isCompared() {
    return worstIndex >= 0;
  }

  static TensorVerdict notCompared(String name) {
    return new TensorVerdict(name, Double.POSITIVE_INFINITY, 0, -1, false);
  }

  static TensorVerdict ofReals(String name, float[] expected, float[] found, double tolerance) {
    double magnitude = 0;
    for (float value : expected)
      if (Float.isFinite(value)) magnitude = Math.max(magnitude, Math.abs(value));
    double worst = expected.length == found.length ? 0 : Double.POSITIVE_INFINITY;
    int worstIndex = 0;
    for (int i = 0; i < Math.min(expected.length, found.length); i++) {
      double error = error(expected[i], found[i], magnitude);
      if (error <= worst) continue;
      worst = error;
      worstIndex = i;
    }
    return new TensorVerdict(name, worst, tolerance, worstIndex, false);
  }

  private static double error(float expected, float found, double magnitude) {
    if (expected == found) return 0; // infinities of the same sign, too
    double difference = Math.abs((double) found - expected);
    return Double.isFinite(difference) ? difference / magnitude : Double.POSITIVE_INFINITY;
  }

  static TensorVerdict ofIntegers(String name, int[] expected, int[] found) {
    long different = Math.abs((long) expected.length - found.length);
    int first = different > 0 ? Math.min(expected.length, found.length) : -1;
    for (int i = Math.min(expected.length, found.length) - 1; i >= 0; i--) {
      if (expected[i] == found[i]) continue;
      different++;
      first = i;
    }
    return new TensorVerdict(name, different, 0, Math.max(0, first), true);
  }
}
