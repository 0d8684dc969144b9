// f16 and bf16 as 16 bits.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "exec/float_bits.h"

namespace winnow::gpusim {

struct F16 {
  static constexpr int kMantissaBits = 10, kMinExponent = -14;
  static constexpr double kLargest = 65504.0;
  static constexpr uint16_t kNaN = 0x7FFF, kInfinity = 0x7C00;
  static float widen(uint16_t bits) { return _cvtsh_ss(bits); }
};

struct BF16 {
  static constexpr int kMantissaBits = 7, kMinExponent = -126;
  static constexpr double kLargest = 0x1.FEp127;
  static constexpr uint16_t kNaN = 0x7FFF, kInfinity = 0x7F80;
  static float widen(uint16_t bits) { return bit_cast<float>(uint32_t{bits} << 16); }
};

// x rounded as MXCSR says.
template <class H>
uint16_t narrow(double x) {
  if (x != x) return H::kNaN;
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double magnitude = std::fabs(x);
  if (magnitude == 0) return sign;
  if (std::isinf(x)) return sign | H::kInfinity;
  const int exponent = std::max(std::ilogb(magnitude), H::kMinExponent);
  // A multiple of the distance between neighbours, rounded to an integer in the current mode: x keeps its sign for
  // that.
  const double steps = std::fabs(std::nearbyint(std::ldexp(x, H::kMantissaBits - exponent)));
  const double rounded = std::ldexp(steps, exponent - H::kMantissaBits);
  if (rounded > H::kLargest) {
    const unsigned mode = _mm_getcsr() & 0x6000;
    const bool to_largest = mode == 0x6000 || (mode == 0x2000 && sign == 0) || (mode == 0x4000 && sign != 0);
    return sign | (to_largest ? H::kInfinity - 1 : H::kInfinity);
  }
  // Adding the steps to the exponent field carries into it where the mantissa is full.
  const int biased = exponent - H::kMinExponent;  // 0: subnormal or the first normal binade
  return static_cast<uint16_t>(sign | ((biased << H::kMantissaBits) + static_cast<int>(steps)));
}

// f32 to bf16, nearest even: the common case, without branches.
inline uint16_t narrow_bf16(float x) {
  const uint32_t bits = bit_cast<uint32_t>(x);
  const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>(x == x ? rounded : BF16::kNaN);
}
inline uint16_t narrow_f16(float x) { return x == x ? _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT) : F16::kNaN; }

// a * b + c in double, rounded to odd: a product of halves is exact, and rounding the sum once more to 16 bits is then
// the same as rounding the exact value once (Boldo, Melquiond 2008).
inline double odd_multiply_add(double a, double b, double c) {
  const double p = a * b, s = p + c;
  if (std::isnan(s) || std::isinf(s)) return s;
  const double c_part = s - p, p_part = s - c_part;
  const double error = (p - p_part) + (c - c_part);
  const auto bits = bit_cast<int64_t>(s);
  if (error == 0 || (bits & 1) != 0) return s;
  return bit_cast<double>((error > 0) == (s > 0) ? bits + 1 : bits - 1);
}

}  // namespace winnow::gpusim
