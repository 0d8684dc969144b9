// Chooses experts and their weights for each token. java: org.winnow.op.TopKRouter.
//
//   softmax            p = softmax(z); the top_k largest; weights p, or p / sum of the kept if renormalised
//   sigmoid            s = 1 / (1 + exp(-z)); the top_k largest; weights s, or s / (sum of the kept + 1e-20)
//   sparsemax          p = max(z - tau, 0) with sum 1 on the top_k largest; the experts with p > 0; weights p
//   hard_threshold     the experts with z > threshold, top_k at most; a = z; weights a, or a / sum of the kept
//   shifted_threshold  the same with a = z - threshold
//
// All weights are multiplied by scaling_factor. Choices are ordered by descending selection value, equal ones by
// ascending index; -0 equals +0.
//
//   logits             [num_tokens, num_experts] f32   z
//   correction_bias    [num_experts] f32   softmax, sigmoid: p + bias or s + bias selects, weights use p or s; null: 0
//   token_offsets      [num_tokens + 1] i32   out: exclusive prefix sum of choices per token
//   expert_ids         [num_tokens * top_k] i32   out: the first token_offsets[num_tokens] hold choices, by token, best
//                                                 first
//   routing_weights    [num_tokens * top_k] f32   out: their weights
//   num_tokens         tokens
//   num_experts        experts of the layer
//   top_k              maximum number of experts per token
//   min_experts        minimum number that top_p, min_p and skip_below leave to a token, if it had that many
//   num_expert_groups  softmax, sigmoid: experts in equal consecutive groups; 1: no groups
//   top_k_groups       number of best groups whose experts are eligible
//   score              a winnow_router_score
//   group_score        a winnow_group_score
//   renormalise        1: the weights of the choices are scaled to sum to 1
//   fallback_top1      thresholds: a token with no expert above the threshold gets, if 1, its largest logit with
//                      weight scaling_factor; if 0, no expert
//   scaling_factor     multiplies every weight
//   threshold          threshold of the two threshold scores
//   top_p              softmax: keep the fewest choices whose probabilities sum to at least top_p; 0: off
//   min_p              softmax: keep choices with p >= min_p * (largest p); 0: off
//   skip_below         drop choices whose weight is below skip_below * (weight of the first choice); 0: off
//
// WINNOW_DONE with token_offsets[num_tokens]. WINNOW_REFUSED with the first token whose logits hold a NaN or have no
// finite maximum; the outputs are undefined then. WINNOW_INVALID_ARGUMENT for a score or group_score not named here.
//
// Sources: Shazeer et al. 2017, arXiv:1701.06538, eq. (3)-(5), with softmax before or after the choice; DeepSeek-V3,
// arXiv:2412.19437, eq. (13)-(16), with the group limit of its reference code; Martins and Astudillo 2016,
// arXiv:1602.02068, algorithm 1. Exponentials and sums are computed in f64 in one order, so every instruction set,
// batch and thread count gives the same bits.
#pragma once

#include "winnow/base/operation.h"

typedef int32_t winnow_router_score;
enum {
  WINNOW_ROUTER_SCORE_SOFTMAX = 0,
  WINNOW_ROUTER_SCORE_SIGMOID = 1,
  WINNOW_ROUTER_SCORE_SPARSEMAX = 2,
  WINNOW_ROUTER_SCORE_HARD_THRESHOLD = 3,
  WINNOW_ROUTER_SCORE_SHIFTED_THRESHOLD = 4,
};

// The score of a group of experts: its largest selection value, or the sum of its two largest selection values.
typedef int32_t winnow_group_score;
enum {
  WINNOW_GROUP_SCORE_MAX = 0,
  WINNOW_GROUP_SCORE_SUM_OF_TOP_TWO = 1,
};

typedef struct winnow_top_k_router_arguments {
  const float* logits;
  const float* correction_bias;
  int32_t* token_offsets;
  int32_t* expert_ids;
  float* routing_weights;
  int64_t num_tokens;
  int64_t num_experts;
  int64_t top_k;
  int64_t min_experts;
  int64_t num_expert_groups;
  int64_t top_k_groups;
  winnow_router_score score;
  winnow_group_score group_score;
  int32_t renormalise;
  int32_t fallback_top1;
  float scaling_factor;
  float threshold;
  float top_p;
  float min_p;
  float skip_below;
} winnow_top_k_router_arguments;

WINNOW_C winnow_status winnow_top_k_router(const winnow_top_k_router_arguments* arguments, winnow_cpu* cpu,
                                           int64_t* detail);
