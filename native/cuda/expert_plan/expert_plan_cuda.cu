// Sorts token-expert pairs by expert, stably: winnow/expert_plan.h. There are two variants:
//
//   expert_plan_small    one block: at most kMaxSmallPairs pairs, one launch
//   expert_plan_count    each block counts the experts of its pairs. expert_plan_offsets, one block, turns the counts
//                        into each block's first row per expert. expert_plan_place, with the grid of count, writes
//                        the rows
//
// Layout   block_counts [num_experts, num_blocks]: the exclusive sum along it is in the order of the rows; then
//          [num_blocks]: whether each block of count has refused a pair, so that place ignores refusals of earlier
//          launches. A block has pairs_per_block pairs; each warp a consecutive part of them, so that ranks are in the
//          order of the pairs.
// Grid     count, place: x: pairs in blocks. small, offsets: one block.
// Block    multiples of 32 threads; at most kOffsetsThreads, which offsets has.
// Memory   dynamic shared: count num_experts i32; place the same per warp; small 3 * num_rows + num_experts i32.
// Order    ranks by match and lane, sums of integers; atomics only on integers, in an order that does not matter: the
//          same on every run.
// Needs    num_experts >= 1; *refused is 0 before the first launch, and again after it was reported.
#include <cstdint>

#include "expert_plan/expert_plan_block.cuh"
#include "expert_plan/expert_plan_launch.h"
#include "winnow/expert_plan.h"

namespace winnow {

namespace {

// The arguments with sizes in 32 bits.
struct Plan : winnow_expert_plan_arguments, ExpertPlanExtras {
  int32_t num_rows, num_experts;

  __device__ Plan(const winnow_expert_plan_arguments& arguments, const ExpertPlanExtras& extras)
      : winnow_expert_plan_arguments(arguments),
        ExpertPlanExtras(extras),
        num_rows(static_cast<int32_t>(arguments.num_rows)),
        num_experts(static_cast<int32_t>(arguments.num_experts)) {}
};

extern __shared__ int32_t dynamic_shared[];

// The grid as a whole checks all offsets.
__device__ bool offsets_wrong(const Plan& op) {
  bool wrong = op.token_offsets[0] != 0 || op.token_offsets[op.num_tokens] != op.num_rows;
  for (int64_t t = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; t < op.num_tokens;
       t += int64_t{gridDim.x} * blockDim.x) {
    wrong |= op.token_offsets[t] > op.token_offsets[t + 1];
  }
  return wrong;
}

// The token of a pair: the last token whose offset is not above the pair.
__device__ int32_t token_of(const Plan& op, int64_t pair) {
  int64_t low = 0, high = op.num_tokens;  // offsets[low] <= pair < offsets[high]
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (op.token_offsets[middle] <= pair ? low : high) = middle;
  }
  return static_cast<int32_t>(low);
}

__device__ void refuse(const Plan& op, int64_t pair) {
  atomicMax(op.refused, static_cast<int32_t>(kOffsetsWrong - 1 - pair));
}

__device__ bool is_expert(const Plan& op, int32_t expert) { return expert >= 0 && expert < op.num_experts; }

}  // namespace

}  // namespace winnow

extern "C" __global__ void expert_plan_small(const winnow_expert_plan_arguments arguments,
                                             const winnow::ExpertPlanExtras extras) {
  const winnow::Plan op(arguments, extras);
  int32_t* const experts = winnow::dynamic_shared;
  int32_t* const tokens = experts + op.num_rows;
  int32_t* const ranks = tokens + op.num_rows;
  int32_t* const counts = ranks + op.num_rows;
  bool wrong = winnow::offsets_wrong(op);
  if (wrong) atomicMax(op.refused, winnow::kOffsetsWrong);
  for (int32_t pair = threadIdx.x; pair < op.num_rows; pair += blockDim.x) {
    experts[pair] = op.expert_ids[pair];
    if (winnow::is_expert(op, experts[pair])) continue;
    winnow::refuse(op, pair);
    wrong = true;
  }
  if (__syncthreads_or(wrong)) return;
  for (int32_t pair = threadIdx.x; pair < op.num_rows; pair += blockDim.x) tokens[pair] = winnow::token_of(op, pair);
  for (int32_t e = threadIdx.x; e < op.num_experts; e += blockDim.x) counts[e] = 0;
  __syncthreads();
  winnow::plan_block({experts, tokens, ranks, counts, op.expert_offsets, op.source_rows, op.assignment_rows,
                      op.active_experts, op.num_rows, op.num_experts});
}

extern "C" __global__ void expert_plan_count(const winnow_expert_plan_arguments arguments,
                                             const winnow::ExpertPlanExtras extras) {
  const winnow::Plan op(arguments, extras);
  int32_t* const counts = winnow::dynamic_shared;
  bool wrong = winnow::offsets_wrong(op);
  if (wrong) atomicMax(op.refused, winnow::kOffsetsWrong);
  for (int32_t e = threadIdx.x; e < op.num_experts; e += blockDim.x) counts[e] = 0;
  __syncthreads();
  const int64_t begin = int64_t{blockIdx.x} * op.pairs_per_block;
  const int64_t end = min(begin + op.pairs_per_block, int64_t{op.num_rows});
  for (int64_t pair = begin + threadIdx.x; pair < end; pair += blockDim.x) {
    const int32_t expert = op.expert_ids[pair];
    if (winnow::is_expert(op, expert)) {
      atomicAdd(&counts[expert], 1);
    } else {
      winnow::refuse(op, pair);
      wrong = true;
    }
  }
  const int any_wrong = __syncthreads_or(wrong);
  for (int32_t e = threadIdx.x; e < op.num_experts; e += blockDim.x)
    op.block_counts[int64_t{e} * op.num_blocks + blockIdx.x] = counts[e];
  if (threadIdx.x == 0) op.block_counts[int64_t{op.num_experts} * op.num_blocks + blockIdx.x] = any_wrong;
}

// Turns block_counts into its exclusive sum, then writes expert_offsets and active_experts.
extern "C" __global__ void __launch_bounds__(winnow::kOffsetsThreads)
    expert_plan_offsets(const winnow_expert_plan_arguments arguments, const winnow::ExpertPlanExtras extras) {
  const winnow::Plan op(arguments, extras);
  __shared__ int32_t warp_sums[32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t size = int64_t{op.num_experts} * op.num_blocks;
  // the exclusive sum over the block of a thread's value, plus what came before; `before` then includes the block
  const auto exclusive_sum = [&](int32_t value, int32_t* before) {
    const int32_t in_warp = winnow::warp_inclusive_sum(value, lane);
    if (lane == 31) warp_sums[warp] = in_warp;
    __syncthreads();
    const int32_t of_warps = winnow::warp_inclusive_sum(warp_sums[lane], lane);
    const int32_t warps_before = __shfl_sync(winnow::kAllLanes, of_warps, max(warp - 1, 0));
    const int32_t sum = *before + in_warp - value + (warp == 0 ? 0 : warps_before);
    *before += __shfl_sync(winnow::kAllLanes, of_warps, 31);
    __syncthreads();  // warp_sums have been read
    return sum;
  };
  int32_t before = 0;
  for (int64_t first = 0; first < size; first += blockDim.x) {
    const int64_t i = first + threadIdx.x;
    const int32_t begin = exclusive_sum(i < size ? op.block_counts[i] : 0, &before);
    if (i < size) op.block_counts[i] = begin;
  }
  __syncthreads();
  int32_t num_active = 0;
  for (int32_t first = 0; first < op.num_experts; first += blockDim.x) {
    const int32_t expert = first + threadIdx.x;
    bool active = false;
    if (expert < op.num_experts) {
      const int32_t begin = op.block_counts[int64_t{expert} * op.num_blocks];
      const int32_t end = expert + 1 < op.num_experts ? op.block_counts[(int64_t{expert} + 1) * op.num_blocks] : before;
      op.expert_offsets[expert] = begin;
      active = end > begin;
    }
    const int32_t slot = exclusive_sum(active, &num_active);
    if (active) op.active_experts[slot] = expert;
  }
  for (int32_t i = num_active + threadIdx.x; i < op.num_experts; i += blockDim.x) op.active_experts[i] = -1;
  if (threadIdx.x == 0) op.expert_offsets[op.num_experts] = before;
}

extern "C" __global__ void expert_plan_place(const winnow_expert_plan_arguments arguments,
                                             const winnow::ExpertPlanExtras extras) {
  const winnow::Plan op(arguments, extras);
  bool wrong = false;
  for (int32_t b = threadIdx.x; b < op.num_blocks; b += blockDim.x)
    wrong |= op.block_counts[int64_t{op.num_experts} * op.num_blocks + b] != 0;
  if (__syncthreads_or(wrong)) return;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, num_warps = blockDim.x / 32;
  int32_t* const counts = winnow::dynamic_shared + warp * op.num_experts;  // of this warp's pairs, then its next rows
  const int32_t per_warp = op.pairs_per_block / num_warps;
  const int64_t begin = int64_t{blockIdx.x} * op.pairs_per_block + warp * per_warp;
  const int64_t end = min(begin + per_warp, int64_t{op.num_rows});
  for (int32_t e = lane; e < op.num_experts; e += 32) counts[e] = 0;
  __syncwarp();
  for (int64_t pair = begin + lane; pair < end; pair += 32) atomicAdd(&counts[op.expert_ids[pair]], 1);
  __syncthreads();
  for (int32_t e = threadIdx.x; e < op.num_experts; e += blockDim.x) {
    int32_t next = op.block_counts[int64_t{e} * op.num_blocks + blockIdx.x];
    for (int32_t w = 0; w < num_warps; ++w) {
      int32_t* const count = winnow::dynamic_shared + w * op.num_experts + e;
      const int32_t rows = *count;
      *count = next;
      next += rows;
    }
  }
  __syncthreads();
  for (int64_t first = begin; first < end; first += 32) {
    const int64_t pair = first + lane;
    const int32_t expert = pair < end ? op.expert_ids[pair] : -1;
    const uint32_t same = __match_any_sync(winnow::kAllLanes, expert);
    const int32_t before = __popc(same & winnow::lanes_below());
    const int32_t next = expert >= 0 ? counts[expert] : 0;
    __syncwarp();
    if (expert >= 0) {
      op.assignment_rows[pair] = next + before;
      op.source_rows[next + before] = winnow::token_of(op, pair);
      if (before == 0) counts[expert] = next + __popc(same);
    }
    __syncwarp();
  }
}
