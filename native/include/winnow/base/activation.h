// Activations that a kernel fuses into its output; the numbers are part of the binary interface.
// java: org.winnow.moe.Activation.
#pragma once

#include <cstdint>

namespace winnow {

// Of a gate g and, in gated form, an up value u:
//   none            g,                          gated: g * u
//   silu            g * sigmoid(g)              gated: times u, as for the three below
//   gelu_erf        g * (1 + erf(g / sqrt(2))) / 2
//   gelu_tanh       g * (1 + tanh(sqrt(2 / pi) * (g + 0.044715 * g^3))) / 2
//   relu            max(g, 0)
//   clamped_swiglu  gated only (gpt-oss): g' * sigmoid(1.702 * g') * (u' + 1), g' = min(g, 7), u' = clamp(u, -7, 7)
enum class Activation : int32_t { none = 0, silu = 1, gelu_erf = 2, gelu_tanh = 3, relu = 4, clamped_swiglu = 5 };

}  // namespace winnow
