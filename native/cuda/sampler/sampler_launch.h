// Arguments of the kernels in sampler_cuda.cu beside those of the contract.
#pragma once

#include "base/device_launch.h"

namespace winnow {

constexpr int kSurveyThreads = 256;
constexpr int kChooseThreads = 1024;

// Result of one block of sampler_survey.
struct Survey {
  uint64_t best_key;
  int64_t refused;  // the smallest of: i for a seen token i that is not in the vocabulary, num_seen + i for a logit i
                    // that is NaN or +infinity, num_seen + vocabulary_size for neither
};

struct SamplerExtras {
  float* penalised;    // [vocabulary_size] logits; only if num_seen > 0
  uint64_t* weights;   // [vocabulary_size]; not at temperature 0
  Survey* surveys;     // [num_blocks]
  int64_t* result;     // the token, or -1 - i where the contract refuses with i
  int64_t num_blocks;  // of sampler_survey
};

}  // namespace winnow
