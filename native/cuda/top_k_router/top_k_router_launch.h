// Arguments of the kernels in top_k_router_cuda.cu beside those of the contract.
#pragma once

#include "base/device_launch.h"

namespace winnow {

constexpr int kRouterOffsetsThreads = 1024;

// Maximum dynamic shared memory of routing.
constexpr int kMaxRoutingBytes = 96 << 10;

// Limits of top_k_router_plan. Its first warp computes the offsets and ranks 32 pairs at a time.
constexpr int kMaxPlannedTokens = kWarpSize;
constexpr int kMaxPlannedPairs = 1024;
constexpr int kMaxPlanningWarps = 8;

// Dynamic shared memory of a warp that routes: [top_k] f64, then [num_experts] u32, [num_expert_groups] u32 and
// [max(top_k, top_k_groups)] i32, to a multiple of 8 bytes.
WINNOW_DEVICE constexpr int64_t warp_scratch_bytes(int64_t num_experts, int64_t num_expert_groups, int64_t top_k,
                                                   int64_t top_k_groups) {
  return (8 * top_k + 4 * (num_experts + num_expert_groups + (top_k > top_k_groups ? top_k : top_k_groups)) + 7) & -8;
}

// Dynamic shared memory of top_k_router_plan after its warps' scratch: five arrays by pair, a count per expert, an
// offset per token.
WINNOW_DEVICE constexpr int64_t plan_scratch_bytes(int64_t num_pairs, int64_t num_experts) {
  return 4 * (5 * num_pairs + num_experts + kMaxPlannedTokens + 1);
}

// The result that the host reads.
struct RouterStatus {
  int32_t refused;  // INT32_MAX - t for the first token t whose logits are refused; 0: none
  int32_t num_rows;
};

struct RouterExtras {
  int32_t* choice_ids;    // [num_tokens, top_k]: expert_ids, or where top_k_router_close_up takes them from
  float* choice_weights;  // likewise
  RouterStatus* status;
};

}  // namespace winnow
