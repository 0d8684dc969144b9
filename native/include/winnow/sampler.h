// Chooses the next token. java: org.winnow.op.Sampler.
//
//   temperature 0   the largest logit; of equal ones the smallest index
//   otherwise       w_i = floor(2^s e^((logits[i] - max) / temperature)) over the candidates: the top_k largest logits
//                   (0: all), of those the smallest set of largest ones whose share of the mass is at least top_p
//                   (1: all). Then, in order of index, the first candidate at which the running sum exceeds
//                   uniform * (sum of all candidates).
//
//   logits           [vocabulary_size] f32   -infinity is never chosen
//   vocabulary_size  number of logits
//   top_k            maximum number of candidates; 0: no limit
//   temperature      0 or more
//   top_p            in (0, 1]
//   uniform          in [0, 1)
//
// Candidates are ordered by descending logit, equal ones (-0 = +0) by ascending index. Weights are integers, computed
// with Winnow's own exponential; s is the largest integer with vocabulary_size * 2^s <= 2^62. Integer sums are exact in
// any order, so every machine and every backend chooses the same token.
//
// WINNOW_DONE with the token. WINNOW_REFUSED with the first i whose logit is NaN or +infinity, or with vocabulary_size
// if all are -infinity. Top-p: Holtzman et al. 2019, arXiv:1904.09751, eq. (2).
#pragma once

#include "winnow/base/operation.h"

typedef struct winnow_sampler_arguments {
  const float* logits;
  int64_t vocabulary_size;
  int64_t top_k;
  double temperature;
  double top_p;
  double uniform;
} winnow_sampler_arguments;

WINNOW_C winnow_status winnow_sampler(const winnow_sampler_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
