package org.winnow;

import java.util.Arrays;

/** What follows from a tensor's extents. */
final class Shape {
  private Shape() {}

  /** How many elements an array of these extents has. */
  static long elements(long[] shape) {
    long elements = 1;
    for (long extent : shape) {
      if (extent < 0)
        throw new IllegalArgumentException(
            "shape must have no negative extent, found " + Arrays.toString(shape));
      try {
        elements = Math.multiplyExact(elements, extent);
      } catch (ArithmeticException e) {
        throw new IllegalArgumentException(
            "shape must hold less than 2^63 elements, found " + Arrays.toString(shape));
      }
    }
    return elements;
  }

  static long sizeBytes(DType dtype, long[] shape) {
    try {
      return Math.multiplyExact(elements(shape), dtype.sizeBytes());
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "shape must hold less than 2^63 bytes, found " + Arrays.toString(shape));
    }
  }

  static String describe(long[] shape) {
    StringBuilder text = new StringBuilder("[");
    for (int i = 0; i < shape.length; i++)
      text.append(i == 0 ? "" : ", ")
          .append(shape[i] == Tensor.ANY ? "any" : Long.toString(shape[i]));
    return text.append(']').toString();
  }
}
