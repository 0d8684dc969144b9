// f32 values as the GPU leaves them: NaN results are 0x7FFFFFFF, saturation sends NaN to zero.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace winnow::gpusim {

template <class To, class From>
To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

inline float canonical(float x) { return x == x ? x : bit_cast<float>(0x7FFF'FFFFu); }
inline double canonical(double x) { return x; }  // the manual promises no f64 NaN payload
template <class T>
T saturated(T x) {
  return x > T{0} ? (x < T{1} ? x : T{1}) : T{0};
}
inline float flushed(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }
inline double flushed(double x) { return x; }

// The smaller of both, -0 below +0; a NaN loses against a number unless kNaN.
template <bool kNaN, class T>
T minimum(T a, T b) {
  if (a != a || b != b) return kNaN || (a != a && b != b) ? canonical(a + b) : a != a ? b : a;
  return a == b ? (std::signbit(a) ? a : b) : a < b ? a : b;
}
template <bool kNaN, class T>
T maximum(T a, T b) {
  if (a != a || b != b) return kNaN || (a != a && b != b) ? canonical(a + b) : a != a ? b : a;
  return a == b ? (std::signbit(a) ? b : a) : a > b ? a : b;
}

}  // namespace winnow::gpusim
