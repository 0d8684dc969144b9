// exp and the logistic function in f64. They do the same operations as cpu/base/exponential.h, so they give the CPU's
// bits. Intrinsics keep the compiler from contracting a product and a sum.
#pragma once

namespace winnow {

// exp(x), relative error below 3e-11, for x clamped to [-708, 708].
__device__ __forceinline__ double exponential_f64(double x) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves the nearest integer in the low bits
  x = x < -708.0 ? -708.0 : x;
  x = x > 708.0 ? 708.0 : x;
  const double shifted = __dadd_rn(__dmul_rn(x, 1.4426950408889634), kRound);
  const double n = __dsub_rn(shifted, kRound);
  const double r = __dsub_rn(__dsub_rn(x, __dmul_rn(n, 0x1.62e42fefa38p-1)), __dmul_rn(n, 0x1.ef35793c7673p-45));
  double p = 1.0 / 362880;
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 40320);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 5040);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 720);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 120);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 24);
  p = __dadd_rn(__dmul_rn(p, r), 1.0 / 6);
  p = __dadd_rn(__dmul_rn(p, r), 0.5);
  p = __dadd_rn(__dmul_rn(p, r), 1.0);
  p = __dadd_rn(__dmul_rn(p, r), 1.0);
  return __dmul_rn(p, __longlong_as_double((__double_as_longlong(shifted) + 1023) << 52));
}

// 1 / (1 + exp(-z)), rounded to f32.
__device__ __forceinline__ float sigmoid_f64(float z) {
  return static_cast<float>(__ddiv_rn(1.0, __dadd_rn(1.0, exponential_f64(-static_cast<double>(z)))));
}

}  // namespace winnow
