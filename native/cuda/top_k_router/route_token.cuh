// Routes one token with one warp by the rules of winnow/top_k_router.h, in the steps of
// cpu/top_k_router/top_k_router_cpu.cpp.
//
// Order  values are computed by lane. f64 sums use the CPU's order (eight partial sums over the experts; one after the
//        other over the choices) without contraction, so choices and bits are the CPU's. Each lane knows the best of
//        its experts. Two redux instructions take the largest of these, and only the lane that lost its best searches
//        its experts again.
#pragma once

#include <cstdint>

#include "base/exponential_f64.cuh"
#include "base/order.cuh"
#include "base/warp.cuh"
#include "top_k_router/top_k_router_launch.h"
#include "winnow/top_k_router.h"

namespace winnow {

// The arguments with sizes in 32 bits.
struct Router {
  const float* logits;
  const float* correction_bias;
  int64_t num_tokens;
  int32_t num_experts, top_k, min_experts, num_expert_groups, top_k_groups;
  winnow_router_score score;
  winnow_group_score group_score;
  int32_t renormalise, fallback_top1;
  float scaling_factor, threshold, top_p, min_p, skip_below;

  __device__ explicit Router(const winnow_top_k_router_arguments& arguments)
      : logits(arguments.logits),
        correction_bias(arguments.correction_bias),
        num_tokens(arguments.num_tokens),
        num_experts(static_cast<int32_t>(arguments.num_experts)),
        top_k(static_cast<int32_t>(arguments.top_k)),
        min_experts(static_cast<int32_t>(arguments.min_experts)),
        num_expert_groups(static_cast<int32_t>(arguments.num_expert_groups)),
        top_k_groups(static_cast<int32_t>(arguments.top_k_groups)),
        score(arguments.score),
        group_score(arguments.group_score),
        renormalise(arguments.renormalise),
        fallback_top1(arguments.fallback_top1),
        scaling_factor(arguments.scaling_factor),
        threshold(arguments.threshold),
        top_p(arguments.top_p),
        min_p(arguments.min_p),
        skip_below(arguments.skip_below) {}

  __device__ int32_t scratch_bytes() const {
    return static_cast<int32_t>(warp_scratch_bytes(num_experts, num_expert_groups, top_k, top_k_groups));
  }
};

// Shared memory of one warp, of warp_scratch_bytes.
struct WarpScratch {
  double* gates;         // weights of the choices before they are normalised
  uint32_t* keys;        // by expert: the value it is chosen by, in order; 0: not eligible, or taken
  uint32_t* group_keys;  // by group
  int32_t* ids;          // choices, best first

  __device__ WarpScratch(const Router& op, void* memory)
      : gates(static_cast<double*>(memory)),
        keys(reinterpret_cast<uint32_t*>(gates + op.top_k)),
        group_keys(keys + op.num_experts),
        ids(reinterpret_cast<int32_t*>(group_keys + op.num_expert_groups)) {}
};

constexpr float kInfinity = __builtin_huge_valf();

// The CPU's eight partial sums: expert e belongs to sum e mod 8.
__device__ inline double sum_of_exponentials(const float* logits, double largest, int32_t num_experts) {
  const int lane = threadIdx.x & 31;
  double partial = 0;
  for (int32_t first = 0; first < num_experts; first += 32) {
    const double term = first + lane < num_experts ? exponential_f64(__dsub_rn(logits[first + lane], largest)) : 0;
    for (int32_t i = 0; i < 32; i += 8) {
      const double next = __shfl_sync(kAllLanes, term, i + (lane & 7));
      if (first + i + (lane & 7) < num_experts) partial = __dadd_rn(partial, next);
    }
  }
  double sum = 0;
  for (int32_t i = 0; i < 8; ++i) sum = __dadd_rn(sum, __shfl_sync(kAllLanes, partial, i));
  return sum;
}

// The expert's score with its correction.
__device__ inline float selection_value(const Router& op, float logit, int32_t expert, double largest, double sum) {
  const float value = op.score == WINNOW_ROUTER_SCORE_SIGMOID
                          ? sigmoid_f64(logit)
                          : static_cast<float>(__ddiv_rn(exponential_f64(__dsub_rn(logit, largest)), sum));
  return op.correction_bias == nullptr ? value : __fadd_rn(value, op.correction_bias[expert]);
}

// Takes the best `capacity` of keys [size], larger keys first, then smaller indices. Sets their keys to 0 and returns
// their number. Lanes see each other's keys and ids after the next __syncwarp.
__device__ inline int32_t take_best(uint32_t* keys, int32_t size, int32_t capacity, int32_t* ids) {
  const int lane = threadIdx.x & 31;
  uint32_t best = 0;
  int32_t best_index = lane;
  const auto look = [&] {
    best = 0;
    for (int32_t i = lane; i < size; i += 32) {
      if (keys[i] <= best) continue;
      best = keys[i];
      best_index = i;
    }
  };
  look();
  for (int32_t count = 0; count < capacity; ++count) {
    const uint32_t largest = __reduce_max_sync(kAllLanes, best);
    if (largest == 0) return count;
    const uint32_t index =
        __reduce_min_sync(kAllLanes, best == largest ? static_cast<uint32_t>(best_index) : UINT32_MAX);
    if (index % 32 == lane) {
      ids[count] = static_cast<int32_t>(index);
      keys[index] = 0;
      look();
    }
  }
  return capacity;
}

// Keeps only experts of the best groups. The keys must hold the values that rank groups.
__device__ inline void choose_groups(const Router& op, const WarpScratch& scratch) {
  const int lane = threadIdx.x & 31;
  const int32_t group_size = op.num_experts / op.num_expert_groups;
  for (int32_t g = lane; g < op.num_expert_groups; g += 32) {
    float first = -kInfinity, second = first;
    for (int32_t i = 0; i < group_size; ++i) {
      const float value = from_ordered(scratch.keys[g * group_size + i]);
      second = fmaxf(second, fminf(first, value));
      first = fmaxf(first, value);
    }
    scratch.group_keys[g] =
        ordered(op.group_score == WINNOW_GROUP_SCORE_MAX || group_size == 1 ? first : __fadd_rn(first, second));
  }
  __syncwarp();
  take_best(scratch.group_keys, op.num_expert_groups, op.top_k_groups, scratch.ids);
  __syncwarp();  // a group that was taken has key 0
}

// Fills keys with the values that rank experts.
__device__ inline void fill_keys(const Router& op, const float* logits, double largest, const WarpScratch& scratch) {
  const int lane = threadIdx.x & 31;
  if (op.score >= WINNOW_ROUTER_SCORE_SPARSEMAX) {
    // sparsemax: tau is never below largest - 1
    const double origin = op.score == WINNOW_ROUTER_SCORE_SPARSEMAX ? largest : 0,
                 bound = op.score == WINNOW_ROUTER_SCORE_SPARSEMAX ? -1.0 : op.threshold;
    for (int32_t e = lane; e < op.num_experts; e += 32)
      scratch.keys[e] = __dsub_rn(logits[e], origin) > bound ? ordered(logits[e]) : 0;
    return;
  }
  // Softmax probabilities have the order of the logits. Comparing logits also avoids ties that rounding would create.
  // But sums of two probabilities can have another order than sums of two logits.
  const bool selects_logits = op.score == WINNOW_ROUTER_SCORE_SOFTMAX && op.correction_bias == nullptr;
  const bool grouped = op.num_expert_groups > 1;
  const bool needs_scores = !selects_logits || (grouped && op.group_score == WINNOW_GROUP_SCORE_SUM_OF_TOP_TWO);
  const double sum = needs_scores && op.score == WINNOW_ROUTER_SCORE_SOFTMAX
                         ? sum_of_exponentials(logits, largest, op.num_experts)
                         : 1;
  for (int32_t e = lane; e < op.num_experts; e += 32)
    scratch.keys[e] = ordered(needs_scores ? selection_value(op, logits[e], e, largest, sum) : logits[e]);
  if (!grouped) return;
  __syncwarp();
  choose_groups(op, scratch);
  const int32_t group_size = op.num_experts / op.num_expert_groups;
  for (int32_t e = lane; e < op.num_experts; e += 32) {
    if (scratch.group_keys[e / group_size] != 0)
      scratch.keys[e] = 0;
    else if (selects_logits)
      scratch.keys[e] = ordered(logits[e]);
  }
}

// The candidates u are sorted and shifted so that u_0 = 0. The support is the longest prefix r with 1 + r * u_r >
// sum_{j<=r} u_j. Returns its size and sets its tau.
__device__ inline int32_t solve_sparsemax(const float* logits, double largest, const int32_t* ids, int32_t count,
                                          double* tau) {
  double sum = 0;
  int32_t support = 0;
  for (; support < count; ++support) {
    const double u = __dsub_rn(logits[ids[support]], largest), next = __dadd_rn(sum, u);
    if (!(__dadd_rn(1.0, __dmul_rn(static_cast<double>(support + 1), u)) > next)) break;
    sum = next;
  }
  *tau = support == 0 ? -1 : __ddiv_rn(__dsub_rn(sum, 1.0), static_cast<double>(support));
  return support;
}

// Fills gates with the weights of the choices. Softmax weights are not yet divided by their denominator, which is set
// if a rule needs it. Returns the number of choices left.
__device__ inline int32_t weigh(const Router& op, const float* logits, double largest, const WarpScratch& scratch,
                                int32_t count, double* denominator) {
  const int lane = threadIdx.x & 31;
  *denominator = 1;
  double shift = op.score == WINNOW_ROUTER_SCORE_SHIFTED_THRESHOLD ? op.threshold : 0, tau = 0;
  if (op.score == WINNOW_ROUTER_SCORE_SOFTMAX) {
    // All kept exponentials could underflow if the kept logits are far below the largest one. Weights that are only
    // renormalised are therefore shifted by the largest kept logit.
    shift = largest;
    if (!op.renormalise || op.top_p > 0) {
      *denominator = sum_of_exponentials(logits, largest, op.num_experts);
    } else {
      float kept = -kInfinity;
      for (int32_t i = lane; i < count; i += 32) kept = fmaxf(kept, logits[scratch.ids[i]]);
      shift = warp_max(kept);
    }
  } else if (op.score == WINNOW_ROUTER_SCORE_SPARSEMAX) {
    count = solve_sparsemax(logits, largest, scratch.ids, count, &tau);
  }
  for (int32_t i = lane; i < count; i += 32) {
    const float z = logits[scratch.ids[i]];
    switch (op.score) {
      case WINNOW_ROUTER_SCORE_SOFTMAX:
        scratch.gates[i] = exponential_f64(__dsub_rn(z, shift));
        break;
      case WINNOW_ROUTER_SCORE_SIGMOID:
        scratch.gates[i] = sigmoid_f64(z);
        break;
      case WINNOW_ROUTER_SCORE_SPARSEMAX:
        scratch.gates[i] = __dsub_rn(__dsub_rn(z, largest), tau);
        break;
      default:
        scratch.gates[i] = __dsub_rn(z, shift);
    }
  }
  return count;
}

// Removes the choices that an adaptive rule drops. The first min_experts stay. Returns the number of choices left.
__device__ inline int32_t trim(const Router& op, double denominator, const WarpScratch& scratch, int32_t count) {
  if (op.top_p > 0) {
    const double needed = __dmul_rn(op.top_p, denominator);
    double sum = 0;
    int32_t kept = 0;
    while (kept < count && sum < needed) sum = __dadd_rn(sum, scratch.gates[kept++]);
    count = min(count, max(kept, op.min_experts));
  }
  const double bound = __dmul_rn(fmaxf(op.min_p, op.skip_below), scratch.gates[0]);
  __syncwarp();  // all have read gates before one moves them
  int32_t kept = 0;
  if ((threadIdx.x & 31) == 0) {
    for (int32_t i = 0; i < count; ++i) {
      const double gate = scratch.gates[i];
      if (i >= op.min_experts && gate < bound) continue;
      scratch.gates[kept] = gate;
      scratch.ids[kept++] = scratch.ids[i];
    }
  }
  __syncwarp();
  return __shfl_sync(kAllLanes, kept, 0);
}

// Writes the token's choices to expert_ids and routing_weights [top_k], best first, and returns their number; -1 if its
// logits are refused.
__device__ inline int32_t route_token(const Router& op, int64_t token, const WarpScratch& scratch, int32_t* expert_ids,
                                      float* routing_weights) {
  const int lane = threadIdx.x & 31;
  const float* logits = op.logits + token * op.num_experts;
  float highest = -kInfinity;
  bool nan = false;
  for (int32_t e = lane; e < op.num_experts; e += 32) {
    highest = fmaxf(highest, logits[e]);
    nan |= logits[e] != logits[e];
  }
  highest = warp_max(highest);
  if (__any_sync(kAllLanes, nan) || !(__fsub_rn(highest, highest) == 0)) return -1;
  const double largest = highest;
  __syncwarp();  // the last token's scratch has been read
  fill_keys(op, logits, largest, scratch);
  int32_t count = take_best(scratch.keys, op.num_experts, op.top_k, scratch.ids);
  __syncwarp();
  if (count > 0) {
    double denominator;
    count = weigh(op, logits, largest, scratch, count, &denominator);
    __syncwarp();
    count = trim(op, denominator, scratch, count);
    double divisor = denominator;
    if (op.renormalise) {
      divisor = op.score == WINNOW_ROUTER_SCORE_SIGMOID ? 1e-20 : 0;
      for (int32_t i = 0; i < count; ++i) divisor = __dadd_rn(divisor, scratch.gates[i]);
    }
    const double factor = __ddiv_rn(op.scaling_factor, divisor);
    for (int32_t i = lane; i < count; i += 32) {
      expert_ids[i] = scratch.ids[i];
      routing_weights[i] = static_cast<float>(__dmul_rn(scratch.gates[i], factor));
    }
  } else if (op.fallback_top1) {
    uint32_t first = UINT32_MAX;
    for (int32_t e = lane; e < op.num_experts && first == UINT32_MAX; e += 32) {
      if (logits[e] == highest) first = e;
    }
    first = __reduce_min_sync(kAllLanes, first);
    if (lane == 0) {
      expert_ids[0] = static_cast<int32_t>(first);
      routing_weights[0] = op.scaling_factor;
    }
    count = 1;
  }
  return count;
}

}  // namespace winnow
