#include "sampler/sampler_weights.h"

namespace winnow {

void sampler_weights_avx512(const float* logits, int64_t size, double max, double temperature, double scale,
                            uint64_t* weights) {
  weigh(logits, size, max, temperature, scale, weights);
}

}  // namespace winnow
