// Which experts each token goes to, and with which weights. java: org.winnow.moe.TopKRouter.
//
//   softmax            p = softmax(z); the top_k largest; weights p, or p / sum of the kept if renormalised
//   sigmoid            s = 1 / (1 + exp(-z)); the top_k largest; weights s, or s / (sum of the kept + 1e-20)
//   sparsemax          p = max(z - tau, 0) with sum 1 on the top_k largest; the experts with p > 0; weights p
//   hard_threshold     the experts with z > threshold, top_k at most; a = z; weights a, or a / sum of the kept
//   shifted_threshold  the same with a = z - threshold
//
// All weights times scaling_factor. Larger selection value first, then smaller index; -0 equals +0.
//
//   logits           [num_tokens, num_experts] f32  z
//   correction_bias  [num_experts] f32 or null      softmax, sigmoid: p + bias or s + bias selects, p or s still weighs
//   token_offsets    [num_tokens + 1] i32           exclusive prefix sum of choices per token
//   expert_ids       [num_tokens * top_k] i32       the first token_offsets[num_tokens] hold choices, by token, best
//   first routing_weights  [num_tokens * top_k] f32       their weights
//
//   num_expert_groups, top_k_groups, group_score    softmax, sigmoid: experts in equal consecutive groups; only those
//   of the
//                                                   top_k_groups best groups are eligible. 1 group = no limit
//   top_p    softmax: keep the fewest choices whose probabilities sum to at least top_p; 0 = off
//   min_p    softmax: keep choices with p >= min_p * (largest p); 0 = off
//   skip_ratio  drop choices whose weight is below skip_ratio * (weight of the first choice); 0 = off
//   min_k    none of the last three keeps fewer than min_k
//   fallback_top_1  thresholds: a token with no expert above goes to the largest logit with weight scaling_factor; else
//   to none
//
// Returns token_offsets[num_tokens]; or -1 - t for the first token t whose logits hold a NaN or have no finite maximum:
// the outputs are unspecified then.
//
// Sources: Shazeer et al. 2017, arXiv:1701.06538, eq. (3)-(5), softmax before or after the choice; DeepSeek-V3,
// arXiv:2412.19437, eq. (13)-(16), the group limit as in its reference code; Martins and Astudillo 2016,
// arXiv:1602.02068, algorithm 1. Exponentials and sums are taken in f64 in one order, so that every instruction set,
// batch and thread count gives the same bits.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"

namespace winnow {

enum class RouterScore : int32_t { softmax = 0, sigmoid = 1, sparsemax = 2, hard_threshold = 3, shifted_threshold = 4 };

// The score of a group of experts: its largest selection value, or the sum of its two largest.
enum class GroupScore : int32_t { max = 0, sum_of_top_two = 1 };

int64_t top_k_router_cpu(const float* logits, const float* correction_bias, int32_t* token_offsets, int32_t* expert_ids,
                         float* routing_weights, int64_t num_tokens, int64_t num_experts, RouterScore score,
                         int64_t top_k, int64_t min_k, int64_t num_expert_groups, int64_t top_k_groups,
                         GroupScore group_score, bool renormalise, float scaling_factor, float threshold,
                         bool fallback_top_1, float top_p, float min_p, float skip_ratio, Cpu* cpu);

}  // namespace winnow
