package org.winnow;

/**
 * Conversions between f32 and the two 16-bit floating types. They round to nearest even and keep
 * NaN.
 */
public final class Float16 {
  private Float16() {}

  /** The nearest bf16: the upper half of an f32. */
  public static short toBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (value != value) return (short) ((bits >>> 16) | 0x40);
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }

  public static float fromBf16(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** The nearest f16 (IEEE 754 binary16); overflow becomes infinity. */
  public static short toF16(float value) {
    int bits = Float.floatToRawIntBits(value);
    int sign = (bits >>> 16) & 0x8000;
    int magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (short) (sign | 0x7e00);
    if (magnitude >= 0x477ff000) return (short) (sign | 0x7c00); // rounds to 65536 or more
    if (magnitude < 0x38800000) { // subnormal in f16: units of 2^-24
      return (short) (sign | (int) Math.rint(Math.abs(value) * 0x1p24));
    }
    int rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
    return (short) (sign | ((rounded - 0x38000000) >>> 13));
  }

  public static float fromF16(short bits) {
    int sign = (bits & 0x8000) << 16;
    int exponent = (bits >>> 10) & 0x1f;
    int mantissa = bits & 0x3ff;
    if (exponent == 0) {
      float magnitude = mantissa * 0x1p-24f;
      return sign == 0 ? magnitude : -magnitude;
    }
    if (exponent == 31) return Float.intBitsToFloat(sign | 0x7f800000 | (mantissa << 13));
    return Float.intBitsToFloat(sign | ((exponent + 112) << 23) | (mantissa << 13));
  }
}
