// The weights of all tokens, one function per instruction set.
#pragma once

// No exception flag of the processor is looked at: without that, compilers take the limits in exponential() for branches
// and do not vectorise its loop.
#pragma GCC optimize("no-trapping-math")

#include <cstdint>

#include "base/exponential.h"

namespace winnow {

// weights[i] = floor(scale * e^((logits[i] - max) / temperature))
using SamplerWeights = void (*)(const float* logits, int64_t size, double max, double temperature, double scale,
                                uint64_t* weights);

void sampler_weights_portable(const float* logits, int64_t size, double max, double temperature, double scale,
                              uint64_t* weights);
void sampler_weights_avx2(const float* logits, int64_t size, double max, double temperature, double scale,
                          uint64_t* weights);
void sampler_weights_avx512(const float* logits, int64_t size, double max, double temperature, double scale,
                            uint64_t* weights);

namespace {

// In two loops: the first is vectorised also where there is no vector of 64-bit integers from doubles.
inline void weigh(const float* logits, int64_t size, double max, double temperature, double scale, uint64_t* weights) {
  constexpr int64_t kBlock = 256;
  double scaled[kBlock];
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    const int64_t count = size - begin < kBlock ? size - begin : kBlock;
    // -infinity: the exponential stops at e^-708, far below 2^-62
    for (int64_t i = 0; i < count; ++i) {
      const double exponent = (logits[begin + i] - max) / temperature;
      scaled[i] = exponential(exponent < 0 ? exponent : 0) * scale;  // above 0 or NaN: a logit that changed meanwhile
    }
    for (int64_t i = 0; i < count; ++i) weights[begin + i] = static_cast<uint64_t>(static_cast<int64_t>(scaled[i]));
  }
}

}  // namespace

}  // namespace winnow
