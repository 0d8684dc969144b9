// exp in f64, for results that are rounded to f32. It gives the same bits on every machine, unlike the C library's exp,
// which depends on the processor.
#pragma once

#include <cstdint>
#include <cstring>

namespace winnow {

// exp(x), relative error below 3e-11 (the polynomial's truncation), for x clamped to [-708, 708].
// x = n * ln 2 + r, |r| <= ln 2 / 2; exp(r) is its Taylor polynomial of degree 9. There is no branch and no table, so
// compilers vectorise the loops that call it. Local to each file: the code of two instruction sets must not share a
// symbol.
static inline double exponential(double x) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves the nearest integer in the low bits
  x = x < -708.0 ? -708.0 : x;
  x = x > 708.0 ? 708.0 : x;
  const double shifted = x * 1.4426950408889634 + kRound;
  const double n = shifted - kRound;
  const double r = (x - n * 0x1.62e42fefa38p-1) - n * 0x1.ef35793c7673p-45;
  double p = 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1;
  p = p * r + 1;
  uint64_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023) << 52;
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}

}  // namespace winnow
