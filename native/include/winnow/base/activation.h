// Activations that the grouped GEMM applies to its result. The numbers are part of the binary interface.
// java: org.winnow.op.Activation.
//
// Functions of a gate g and, if gated, an up value u:
//   none            g,                          gated: g * u
//   silu            g * sigmoid(g)              gated: times u, as for the four below
//   gelu_erf        g * (1 + erf(g / sqrt(2))) / 2
//   gelu_tanh       g * (1 + tanh(sqrt(2 / pi) * (g + 0.044715 * g^3))) / 2
//   relu            max(g, 0)
//   relu_squared    max(g, 0)^2
//   drelu           max(g, 0)                   gated: max(g, 0) * max(u, 0)
//   clamped_swiglu  gated only (gpt-oss): g' * sigmoid(1.702 * g') * (u' + 1), g' = min(g, 7), u' = clamp(u, -7, 7)
#pragma once

#include <stdint.h>

typedef int32_t winnow_activation;
enum {
  WINNOW_ACTIVATION_NONE = 0,
  WINNOW_ACTIVATION_SILU = 1,
  WINNOW_ACTIVATION_GELU_ERF = 2,
  WINNOW_ACTIVATION_GELU_TANH = 3,
  WINNOW_ACTIVATION_RELU = 4,
  WINNOW_ACTIVATION_CLAMPED_SWIGLU = 5,
  WINNOW_ACTIVATION_RELU_SQUARED = 6,
  WINNOW_ACTIVATION_DRELU = 7,
};

#ifdef __cplusplus
namespace winnow {

enum class Activation : winnow_activation {
  none = WINNOW_ACTIVATION_NONE,
  silu = WINNOW_ACTIVATION_SILU,
  gelu_erf = WINNOW_ACTIVATION_GELU_ERF,
  gelu_tanh = WINNOW_ACTIVATION_GELU_TANH,
  relu = WINNOW_ACTIVATION_RELU,
  clamped_swiglu = WINNOW_ACTIVATION_CLAMPED_SWIGLU,
  relu_squared = WINNOW_ACTIVATION_RELU_SQUARED,
  drelu = WINNOW_ACTIVATION_DRELU,
};

}  // namespace winnow
#endif
