// Chooses the next token. java: org.winnow.op.Sampler.
//
//   l_i = logits[i]; of a seen token its penalised logit, in f32:
//         logits[i] < 0 ? logits[i] * repetition_penalty : logits[i] / repetition_penalty
//   temperature 0   the largest l_i; of equal ones the smallest index
//   otherwise       w_i = floor(2^s e^((l_i - max) / temperature)) over the candidates: the top_k largest l_i (0: all),
//                   of those the smallest set of largest ones whose share of the mass is at least top_p (1: all), of
//                   those the ones whose w_i is at least min_p * 2^s (0: all). Then, in order of index, the first
//                   candidate at which the running sum exceeds uniform * (sum of all candidates).
//
//   logits              [vocabulary_size] f32   -infinity is never chosen
//   seen                [num_seen] i32          tokens of the sequence so far; each counts once, however often it occurs
//   vocabulary_size     number of logits
//   num_seen            number of entries in seen; 0: no logit is penalised
//   top_k               maximum number of candidates; 0: no limit; not read at temperature 0, like the next three
//   top_p               in (0, 1]
//   min_p               in [0, 1]
//   uniform             in [0, 1)
//   temperature         0 or more
//   repetition_penalty  more than 0; not read if num_seen is 0
//
// Candidates are ordered by descending l_i, equal ones (-0 = +0) by ascending index. Weights are integers, computed
// with Winnow's own exponential; s is the largest integer with vocabulary_size * 2^s <= 2^62. The largest l_i has the
// weight 2^s. Integer sums are exact in any order, so every machine and every backend chooses the same token.
//
// WINNOW_DONE with the token. WINNOW_REFUSED with the first i whose l_i is NaN or +infinity, with vocabulary_size if all
// are -infinity, or with vocabulary_size + 1 + i for the first i whose seen[i] lies outside [0, vocabulary_size); that
// comes before the others.
//
// Order and meaning of the rules are those of Hugging Face transformers 5. Repetition penalty: Keskar et al. 2019,
// arXiv:1909.05858, section 4.1, for both signs. Top-p: Holtzman et al. 2019, arXiv:1904.09751, eq. (2). Min-p: Nguyen
// et al. 2024, arXiv:2407.01082.
#pragma once

#include "winnow/base/operation.h"

typedef struct winnow_sampler_arguments {
  const float* logits;
  const int32_t* seen;
  int64_t vocabulary_size;
  int64_t num_seen;
  int64_t top_k;
  double top_p;
  double min_p;
  double uniform;
  double temperature;
  float repetition_penalty;
} winnow_sampler_arguments;

WINNOW_C winnow_status winnow_sampler(const winnow_sampler_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
