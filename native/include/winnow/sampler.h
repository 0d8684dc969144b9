// Chooses the next token. java: org.winnow.layer.Sampler.
//
//   temperature 0   the largest logit; of equal ones the smallest index
//   otherwise       w_i = floor(2^s e^((logits[i] - max) / temperature)) over the candidates: the top_k largest logits
//                   (0: all), of those the smallest set of largest ones whose share of the mass is at least top_p
//                   (1: all). Then, in order of index, the first candidate at which the running sum exceeds
//                   uniform * (sum of all candidates).
//
//   logits   [vocabulary_size] f32; -infinity is never chosen
//   uniform  in [0, 1)
//
// Larger logits come first, of equal ones (-0 = +0) the smaller index. Weights are integers, with our own exponential,
// s the largest for which vocabulary_size of them sum to 2^62 at most: sums are exact in any order, so every machine
// and every backend chooses the same token. Returns the token, or -1 - i for the first logit i that is NaN or
// +infinity, or -1 - vocabulary_size if all are -infinity. Throws std::bad_alloc. Top-p: Holtzman et al. 2019,
// arXiv:1904.09751, eq. (2).
#pragma once

#include <cstdint>

namespace winnow {

int64_t sampler_cpu(const float* logits, int64_t vocabulary_size, double temperature, int64_t top_k, double top_p,
                    double uniform);

}  // namespace winnow
