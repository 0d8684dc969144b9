// Arguments of the kernels in expert_plan_cuda.cu beside those of the contract.
#pragma once

#include "base/device_launch.h"

namespace winnow {

constexpr int kMaxSmallPairs = 2048;
constexpr int kSmallThreads = 256;
constexpr int kCountThreads = 256;
constexpr int kOffsetsThreads = 1024;
constexpr int kMaxPlaceWarps = 8;

// Dynamic shared memory of expert_plan_small: 3 * num_rows + num_experts i32.
WINNOW_DEVICE constexpr int64_t small_plan_bytes(int64_t num_rows, int64_t num_experts) {
  return 4 * (3 * num_rows + num_experts);
}

// Dynamic shared memory of expert_plan_count, and of each warp of expert_plan_place: a count per expert.
WINNOW_DEVICE constexpr int64_t counts_bytes(int64_t num_experts) { return 4 * num_experts; }

// block_counts.
WINNOW_DEVICE constexpr int64_t block_counts_bytes(int64_t num_experts, int64_t num_blocks) {
  return 4 * (num_experts + 1) * num_blocks;
}

// Values of the cell of refusals: 0 for none, this for wrong offsets, this - 1 - p if p is the first pair with a wrong
// expert.
constexpr int kOffsetsWrong = 0x7fffffff;

struct ExpertPlanExtras {
  int32_t* block_counts;    // [num_experts + 1, num_blocks]; not of expert_plan_small
  int32_t* refused;         // kept until it is reported
  int32_t pairs_per_block;  // a multiple of kMaxPlaceWarps * kWarpSize
  int32_t num_blocks;
};

}  // namespace winnow
