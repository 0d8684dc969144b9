// e^x without approximate instructions, so every device gives the same bits.
#pragma once

#include <cstdint>

namespace winnow {

// Within 2 ulp: x = n ln 2 + r with |r| <= ln 2 / 2, degree 7 Taylor in r (remainder 5e-9), then scaled by 2^n in two
// steps, which gives correct subnormal results. Saturates to 0 and to infinity; NaN stays NaN.
__device__ __forceinline__ float exponential(float x) {
  const float clamped = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;  // comparisons with NaN are false
  constexpr float kShift = 12582912.0f;                                 // 1.5 * 2^23: adding it rounds to an integer
  const float n = __fadd_rn(__fmaf_rn(clamped, 1.44269504f, kShift), -kShift);
  const float r = __fmaf_rn(n, 2.12194440e-4f, __fmaf_rn(n, -0.693359375f, clamped));  // ln 2 in two parts
  float p = 1.98412698e-4f;
  p = __fmaf_rn(p, r, 1.38888889e-3f);
  p = __fmaf_rn(p, r, 8.33333333e-3f);
  p = __fmaf_rn(p, r, 4.16666667e-2f);
  p = __fmaf_rn(p, r, 1.66666667e-1f);
  p = __fmaf_rn(p, r, 0.5f);
  p = __fadd_rn(__fmaf_rn(__fmul_rn(p, r), r, r), 1.0f);
  const int exponent = static_cast<int>(n == n ? n : 0.0f);
  const int half = exponent >> 1;
  return __fmul_rn(__fmul_rn(p, __int_as_float((half + 127) << 23)), __int_as_float((exponent - half + 127) << 23));
}

}  // namespace winnow
