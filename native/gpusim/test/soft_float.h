// Floating-point arithmetic in integers, for expectations: exact result first, then one rounding into any format in any
// direction.
// Shares nothing with the interpreter, which uses the processor's arithmetic and its rounding modes.
#pragma once

#include <cstdint>

namespace winnow::gpusim::soft {

__extension__ using Wide = unsigned __int128;

struct Format {
  int bits, precision, min_exponent;  // precision counts the leading one; min_exponent is of the smallest normal, 2^min
  uint64_t canonical_nan;
};
constexpr Format kF16{16, 11, -14, 0x7FFF}, kBf16{16, 8, -126, 0x7FFF}, kF32{32, 24, -126, 0x7FFFFFFF},
    kF64{64, 53, -1022, 0x7FF8000000000000};

enum class Rounding { kNearestEven, kNearestAway, kZero, kDown, kUp };

// mantissa * 2^exponent, plus something positive less than one unit of the mantissa if `more`.
struct Number {
  bool nan = false, infinite = false, negative = false, more = false;
  Wide mantissa = 0;
  int exponent = 0;
  bool zero() const { return !nan && !infinite && mantissa == 0 && !more; }
};

inline int bit_length(Wide m) {
  int n = 0;
  for (; m != 0; m >>= 1) ++n;
  return n;
}

inline Number decode(const Format& f, uint64_t bits, bool flush = false) {
  const int stored = f.precision - 1, exponent_bits = f.bits - 1 - stored;
  const uint64_t fraction = bits & ((uint64_t{1} << stored) - 1);
  const int exponent = static_cast<int>(bits >> stored & ((uint64_t{1} << exponent_bits) - 1));
  Number x;
  x.negative = (bits >> (f.bits - 1) & 1) != 0;
  if (exponent == (1 << exponent_bits) - 1) {
    x.nan = fraction != 0;
    x.infinite = fraction == 0;
    return x;
  }
  x.mantissa = exponent == 0 ? (flush ? 0 : fraction) : fraction | uint64_t{1} << stored;
  x.exponent = (exponent == 0 ? 1 : exponent) - 1 + f.min_exponent - stored;
  return x;
}

// Drops `count` low bits of the mantissa into `more`.
inline Number shifted_right(Number x, int count) {
  if (count <= 0) return x;
  if (count > 127) {
    x.more |= x.mantissa != 0;
    x.mantissa = 0;
  } else {
    x.more |= (x.mantissa & ((Wide{1} << count) - 1)) != 0;
    x.mantissa >>= count;
  }
  x.exponent += count;
  return x;
}

// To a whole number of units 2^exponent.
inline Number rounded_at(Number x, int exponent, Rounding rounding) {
  if (x.nan || x.infinite || (x.exponent >= exponent && !x.more)) return x;
  Number cut = shifted_right(x, exponent - x.exponent - 1);  // one bit and `more` are left
  if (cut.exponent > exponent - 1) cut = x;
  const bool half = cut.exponent == exponent - 1 && (cut.mantissa & 1) != 0;
  const bool beyond = cut.more;
  if (cut.exponent == exponent - 1) cut.mantissa >>= 1;
  const bool odd = (cut.mantissa & 1) != 0;
  bool up = false;
  if (rounding == Rounding::kNearestEven) up = half && (beyond || odd);
  if (rounding == Rounding::kNearestAway) up = half;
  if (rounding == Rounding::kDown) up = x.negative && (half || beyond);
  if (rounding == Rounding::kUp) up = !x.negative && (half || beyond);
  cut.mantissa += up;
  cut.exponent = exponent;
  cut.more = false;
  return cut;
}

inline uint64_t encode(const Format& f, Number x, Rounding rounding = Rounding::kNearestEven, bool flush = false) {
  const int stored = f.precision - 1, exponent_bits = f.bits - 1 - stored;
  const uint64_t sign = uint64_t{x.negative} << (f.bits - 1);
  const uint64_t infinity = ((uint64_t{1} << exponent_bits) - 1) << stored;
  if (x.nan) return f.canonical_nan;
  if (x.infinite) return sign | infinity;
  if (x.mantissa == 0 && !x.more) return sign;
  if (x.more && bit_length(x.mantissa) < f.precision + 2) {  // room for the rounding bit
    // Callers keep at least that many bits of an inexact result.
    __builtin_trap();
  }
  const int top = bit_length(x.mantissa) - 1 + x.exponent;  // 2^top <= x
  const int lowest = f.min_exponent - stored;
  const int unit = top - stored > lowest ? top - stored : lowest;
  // The manual leaves open whether a result just below the smallest normal number, which rounds to it, is flushed.
  // Expected here: f32 as a processor with tininess after rounding does it, half types when the rounded result is
  // subnormal.
  if (flush && f.bits > 16 && top < f.min_exponent) {
    const Number full = rounded_at(x, top - stored, rounding);
    if (bit_length(full.mantissa) - 1 + full.exponent < f.min_exponent) return sign;
  }
  Number r = rounded_at(x, unit, rounding);
  if (r.exponent > unit) {
    r.mantissa <<= r.exponent - unit;
    r.exponent = unit;
  }
  if (r.mantissa >> f.precision != 0) {
    r.mantissa >>= 1;
    ++r.exponent;
  }
  if (flush && top < f.min_exponent && (r.mantissa >> stored) == 0) return sign;
  if (r.exponent + stored > -f.min_exponent + 1) {
    const bool to_infinity = rounding == Rounding::kNearestEven || rounding == Rounding::kNearestAway ||
                             (rounding == Rounding::kUp && !x.negative) || (rounding == Rounding::kDown && x.negative);
    return sign | (to_infinity ? infinity : infinity - 1);
  }
  const bool normal = (r.mantissa >> stored) != 0;
  const uint64_t field = normal ? static_cast<uint64_t>(r.exponent - lowest + 1) : 0;
  return sign | field << stored | (static_cast<uint64_t>(r.mantissa) & ((uint64_t{1} << stored) - 1));
}

inline Number make_nan() {
  Number x;
  x.nan = true;
  return x;
}
inline Number negated(Number x) {
  x.negative = !x.negative;
  return x;
}
inline Number from_integer(bool negative, uint64_t magnitude) {
  Number x;
  x.negative = negative;
  x.mantissa = magnitude;
  return x;
}

inline Number multiply(const Number& a, const Number& b) {
  if (a.nan || b.nan || (a.infinite && b.zero()) || (b.infinite && a.zero())) return make_nan();
  Number x;
  x.negative = a.negative != b.negative;
  x.infinite = a.infinite || b.infinite;
  x.mantissa = a.mantissa * b.mantissa;
  x.exponent = a.exponent + b.exponent;
  return x;
}

// Exact zero from a - a is +0, but -0 when rounding down.
inline Number add(Number a, Number b, Rounding rounding) {
  if (a.nan || b.nan || (a.infinite && b.infinite && a.negative != b.negative)) return make_nan();
  if (a.infinite || b.infinite) return a.infinite ? a : b;
  if (a.zero() && b.zero()) {
    Number x;
    x.negative = a.negative == b.negative ? a.negative : rounding == Rounding::kDown;
    return x;
  }
  if (a.zero()) return b;
  if (b.zero()) return a;
  const auto normalise = [](Number& x) {
    const int up = 120 - bit_length(x.mantissa);
    x.mantissa <<= up;
    x.exponent -= up;
  };
  normalise(a);
  normalise(b);
  if (a.exponent < b.exponent || (a.exponent == b.exponent && a.mantissa < b.mantissa)) {
    const Number swapped = a;
    a = b;
    b = swapped;
  }
  b = shifted_right(b, a.exponent - b.exponent);
  Number x = a;
  x.more = b.more;
  if (a.negative == b.negative) {
    x.mantissa += b.mantissa;
  } else {
    x.mantissa -= b.mantissa + b.more;  // b is a little more than its mantissa: the rest becomes a little more too
  }
  if (x.mantissa == 0 && !x.more) x.negative = rounding == Rounding::kDown;
  return x;
}

inline Number divide(const Number& a, const Number& b) {
  Number x;
  x.negative = a.negative != b.negative;
  if (a.nan || b.nan || (a.infinite && b.infinite) || (a.zero() && b.zero())) return make_nan();
  if (a.infinite || b.zero()) {
    x.infinite = true;
    return x;
  }
  if (b.infinite || a.zero()) return x;
  const int up = 126 - bit_length(a.mantissa);
  const Wide dividend = a.mantissa << up;
  x.mantissa = dividend / b.mantissa;
  x.more = dividend % b.mantissa != 0;
  x.exponent = a.exponent - up - b.exponent;
  return x;
}

inline Number square_root(const Number& a) {
  if (a.nan || (a.negative && !a.zero())) return make_nan();
  if (a.infinite || a.zero()) return a;
  int up = 124 - bit_length(a.mantissa);
  if ((a.exponent - up) % 2 != 0) --up;
  const Wide square = a.mantissa << up;
  Wide root = 0;
  for (Wide bit = Wide{1} << 62; bit != 0; bit >>= 1) {
    if ((root | bit) * (root | bit) <= square) root |= bit;
  }
  Number x;
  x.mantissa = root;
  x.more = root * root != square;
  x.exponent = (a.exponent - up) / 2;
  return x;
}

// -1, 0, 1; neither is NaN.
inline int compare(const Number& a, const Number& b) {
  if (a.zero() && b.zero()) return 0;
  const Number difference =
      a.infinite && b.infinite && a.negative == b.negative ? Number() : add(a, negated(b), Rounding::kZero);
  if (difference.infinite) return difference.negative ? -1 : 1;
  if (difference.zero()) return 0;
  return difference.negative ? -1 : 1;
}

}  // namespace winnow::gpusim::soft
