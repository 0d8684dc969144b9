// Sorts a small batch of token-expert pairs by expert with one block, stably. expert_plan_small and top_k_router_plan
// use it.
//
// Order  a warp takes 32 pairs at a time, in order. Match finds the lanes of one expert, which are ranked by lane, and
//        the first of them raises the expert's count. There are no atomics.
#pragma once

#include <cstdint>

#include "base/warp.cuh"

namespace winnow {

__device__ inline uint32_t lanes_below() { return (1u << (threadIdx.x & 31)) - 1; }

// Working memory and outputs of plan_block.
struct BlockPlan {
  const int32_t* pair_experts;  // shared [num_rows], each below num_experts
  const int32_t* pair_tokens;   // shared [num_rows]
  int32_t* pair_ranks;          // shared [num_rows]: before it, rows of the same expert
  int32_t* counts;              // shared [num_experts], zero; then each expert's first row
  int32_t* expert_offsets;      // [num_experts + 1]
  int32_t* source_rows;         // [num_rows]
  int32_t* assignment_rows;     // [num_rows]
  int32_t* active_experts;      // [num_experts]
  int32_t num_rows, num_experts;
};

// The whole block must call this. A barrier must come between writing its inputs in shared memory and the call.
__device__ inline void plan_block(const BlockPlan& plan) {
  const int lane = threadIdx.x & 31;
  if (threadIdx.x < 32) {
    for (int32_t first = 0; first < plan.num_rows; first += 32) {
      const int32_t pair = first + lane;
      const int32_t expert = pair < plan.num_rows ? plan.pair_experts[pair] : -1;
      const uint32_t same = __match_any_sync(kAllLanes, expert);
      const int32_t before = __popc(same & lanes_below());
      const int32_t count = expert >= 0 ? plan.counts[expert] : 0;
      __syncwarp();
      if (expert >= 0) {
        plan.pair_ranks[pair] = count + before;
        if (before == 0) plan.counts[expert] = count + __popc(same);
      }
      __syncwarp();
    }
    int32_t begin = 0, num_active = 0;
    for (int32_t first = 0; first < plan.num_experts; first += 32) {
      const int32_t expert = first + lane;
      const int32_t rows = expert < plan.num_experts ? plan.counts[expert] : 0;
      const int32_t end = begin + warp_inclusive_sum(rows, lane);
      const uint32_t active = __ballot_sync(kAllLanes, rows > 0);
      if (rows > 0) plan.active_experts[num_active + __popc(active & lanes_below())] = expert;
      if (expert < plan.num_experts) {
        plan.counts[expert] = end - rows;
        plan.expert_offsets[expert] = end - rows;
      }
      begin = __shfl_sync(kAllLanes, end, 31);
      num_active += __popc(active);
    }
    for (int32_t i = num_active + lane; i < plan.num_experts; i += 32) plan.active_experts[i] = -1;
    if (lane == 0) plan.expert_offsets[plan.num_experts] = begin;
  }
  __syncthreads();
  for (int32_t pair = threadIdx.x; pair < plan.num_rows; pair += blockDim.x) {
    const int32_t row = plan.counts[plan.pair_experts[pair]] + plan.pair_ranks[pair];
    plan.assignment_rows[pair] = row;
    plan.source_rows[row] = plan.pair_tokens[pair];
  }
}

}  // namespace winnow
