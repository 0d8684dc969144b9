// Activations in plain f32 operations: no library calls, so that loops over them vectorise, and scalar and vector forms
// give the same bits on every instruction set.
#pragma once

#include <cstdint>
#include <cstring>

#include "winnow/base/activation.h"

namespace winnow {

namespace {

inline float float_from_bits(int32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// e^x within 2 ulp: x = n ln 2 + r with |r| <= ln 2 / 2, degree 7 Taylor in r (remainder 5e-9), then scaled by 2^n in
// two steps so that subnormal results are right. Saturates to 0 and to infinity; NaN stays NaN.
inline float exponential(float x) {
  float clamped = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;  // comparisons with NaN are false
  constexpr float kShift = 12582912.0f;                           // 1.5 * 2^23: adding it rounds to an integer
  float n = (clamped * 1.44269504f + kShift) - kShift;
  // ln 2 in two parts; n has at most 8 bits, so the first product is exact.
  float r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.98412698e-4f;
  p = p * r + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = (p * r) * r + r + 1.0f;
  auto exponent = static_cast<int32_t>(n == n ? n : 0.0f);
  int32_t half = exponent >> 1;
  return p * float_from_bits((half + 127) << 23) * float_from_bits((exponent - half + 127) << 23);
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

// erf within 1.5e-7 absolute: Abramowitz and Stegun 1964, formula 7.1.26.
inline float error_function(float x) {
  float magnitude = x < 0 ? -x : x;
  float t = 1.0f / (1.0f + 0.3275911f * magnitude);
  float p = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
  float value = 1.0f - p * exponential(-magnitude * magnitude);
  return x < 0 ? -value : value;
}

template <Activation kActivation>
inline float activate(float gate) {
  switch (kActivation) {
    case Activation::silu:
      return gate * sigmoid(gate);
    case Activation::gelu_erf:
      return 0.5f * gate * (1.0f + error_function(gate * 0.707106781f));
    case Activation::gelu_tanh:  // (1 + tanh(y)) / 2 = sigmoid(2 y)
      return gate * sigmoid(1.59576912f * (gate + 0.044715f * gate * gate * gate));
    case Activation::relu:
    case Activation::drelu:
      return gate > 0.0f || gate != gate ? gate : 0.0f;
    case Activation::relu_squared:
      return gate > 0.0f || gate != gate ? gate * gate : 0.0f;
    default:
      return gate;
  }
}

template <Activation kActivation>
inline float activate(float gate, float up) {
  if (kActivation == Activation::clamped_swiglu) {
    float g = gate > 7.0f ? 7.0f : gate;
    float u = up > 7.0f ? 7.0f : up < -7.0f ? -7.0f : up;
    return (u + 1.0f) * (g * sigmoid(1.702f * g));
  }
  if (kActivation == Activation::drelu) return activate<Activation::relu>(gate) * activate<Activation::relu>(up);
  return activate<kActivation>(gate) * up;
}

}  // namespace

}  // namespace winnow
