// The activations of winnow/base/activation.h. The activation is a run-time argument, because it is applied only once
// per output element, after a sum over a whole row of weights. One kernel per activation would make six times as many
// kernels.
#pragma once

#include "base/exponential.cuh"
#include "winnow/base/activation.h"

namespace winnow {

__device__ __forceinline__ float sigmoid(float x) { return __fdiv_rn(1.0f, 1.0f + exponential(-x)); }

// erf within 1.5e-7 absolute: Abramowitz and Stegun 1964, formula 7.1.26.
__device__ __forceinline__ float error_function(float x) {
  const float magnitude = fabsf(x);
  const float t = __fdiv_rn(1.0f, 1.0f + 0.3275911f * magnitude);
  const float p = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
  return copysignf(1.0f - p * exponential(-magnitude * magnitude), x);
}

// NaN stays NaN.
__device__ __forceinline__ float rectified(float x) { return x > 0.0f || x != x ? x : 0.0f; }

__device__ __forceinline__ float activate(Activation activation, float gate) {
  if (activation == Activation::none) return gate;
  if (activation == Activation::relu || activation == Activation::drelu) return rectified(gate);
  if (activation == Activation::relu_squared) return rectified(gate) * gate;
  if (activation == Activation::gelu_erf) return 0.5f * gate * (1.0f + error_function(gate * 0.707106781f));
  // (1 + tanh(y)) / 2 = sigmoid(2 y)
  const float argument =
      activation == Activation::gelu_tanh ? 1.59576912f * (gate + 0.044715f * gate * gate * gate) : gate;
  return gate * sigmoid(argument);
}

__device__ __forceinline__ float activate(Activation activation, float gate, float up) {
  if (activation == Activation::clamped_swiglu) {
    const float g = gate > 7.0f ? 7.0f : gate;
    const float u = up > 7.0f ? 7.0f : up < -7.0f ? -7.0f : up;
    return (u + 1.0f) * (g * sigmoid(1.702f * g));
  }
  return activate(activation, gate) * (activation == Activation::drelu ? rectified(up) : up);
}

}  // namespace winnow
