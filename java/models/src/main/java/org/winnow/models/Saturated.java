package org.winnow.models;

/** Arithmetic on counts that are not negative. A result that is too large is 2^63 - 1. */
final class Saturated {
  private Saturated() {}

  static long plus(long a, long b) {
    long sum = a + b;
    return sum < 0 ? Long.MAX_VALUE : sum;
  }

  static long times(long a, long b) {
    long product = a * b;
    return Math.multiplyHigh(a, b) != 0 || product < 0 ? Long.MAX_VALUE : product;
  }
}
