// One grouped product as a kernel gets it, and how a block finds its expert on the device. The arrays are those of winnow/grouped_gemm.h, in device memory;
// their contents are trusted.
#pragma once

#include <cstdint>

#include "base/warp.cuh"
#include "winnow/base/activation.h"
#include "winnow/base/dtype.h"

namespace winnow {

// A kernel argument: CudaGroupedGemm.java packs the same fields in the same order.
struct GroupedGemmProblem {
  const void* input;               // [num_tokens, input_size]
  const int32_t* source_rows;      // [num_rows] or null
  const uint64_t* expert_weights;  // [num_experts]
  const uint64_t* up_weights;      // [num_experts] or null
  const uint64_t* biases;          // [num_experts] or null
  const uint64_t* up_biases;       // [num_experts] or null
  const int32_t* expert_offsets;   // [num_experts + 1] or null
  const int32_t*
      active_experts;  // [num_active] or null; may end in -1, which has no rows: the host need not know how many are active
  void* output;        // [num_rows, output_size]
  int32_t num_rows;
  int32_t num_active;
  int32_t input_size;
  int32_t output_size;
  DType input_type;
  DType weight_type;
  DType output_type;
  Activation activation;
  int32_t num_blocks;       // of this problem in the launch (GEMV; 0: there is no such problem)
  int32_t threads_per_dot;  // how many threads share one sum (GEMV): kWarpSize or the whole block

  __device__ bool is_gated() const { return up_weights != nullptr; }
  __device__ int64_t source_row(int row) const { return source_rows == nullptr ? row : source_rows[row]; }
};
static_assert(sizeof(GroupedGemmProblem) == 112, "packed so by CudaGroupedGemm.java");

// What an output is set to where an active expert has no weights.
constexpr float kNoWeights = __builtin_nanf("");

// The matrices of one expert.
struct Expert {
  const void* weight;  // null: not resident
  const void* up;
  const float* bias;  // null: none
  const float* up_bias;

  __device__ Expert(const GroupedGemmProblem& op, int expert)
      : weight(reinterpret_cast<const void*>(op.expert_weights[expert])),
        up(op.up_weights == nullptr ? nullptr : reinterpret_cast<const void*>(op.up_weights[expert])),
        bias(op.biases == nullptr ? nullptr : reinterpret_cast<const float*>(op.biases[expert])),
        up_bias(op.up_biases == nullptr ? nullptr : reinterpret_cast<const float*>(op.up_biases[expert])) {}

  __device__ bool is_resident(bool gated) const { return weight != nullptr && (!gated || up != nullptr); }
};

// The active expert that has this row, or -1. By a whole warp: each lane looks at every 32nd expert, with no load waiting for the comparison before it as in
// a binary search.
__device__ __forceinline__ int find_expert(const GroupedGemmProblem& op, int row, int lane) {
  if (op.expert_offsets == nullptr) return 0;
  int found = -1;
#pragma unroll 4
  for (int i = lane; i < op.num_active; i += kWarpSize) {
    const int expert = op.active_experts == nullptr ? i : op.active_experts[i];
    if (expert >= 0 && op.expert_offsets[expert] <= row && row < op.expert_offsets[expert + 1]) found = expert;
  }
  const uint32_t lanes = __ballot_sync(kAllLanes, found >= 0);
  return lanes == 0 ? -1 : __shfl_sync(kAllLanes, found, __ffs(lanes) - 1);
}

// Up to kBlockM rows of one expert.
struct RowTile {
  int expert;
  int first_row;
  int num_rows;  // 0: the tile is past the last
};

// The tile-th tile, when each active expert has as many as its rows need: at most one per expert is not full. By a whole warp.
template <int kBlockM>
__device__ __forceinline__ RowTile find_row_tile(const GroupedGemmProblem& op, int tile, int lane) {
  if (op.expert_offsets == nullptr) {
    const int first_row = tile * kBlockM;
    return {0, first_row, min(kBlockM, op.num_rows - first_row)};
  }
  int before = 0;
  for (int base = 0; base < op.num_active; base += kWarpSize) {
    int expert = 0;
    int first_row = 0;
    int end_row = 0;
    if (base + lane < op.num_active) {
      expert = op.active_experts == nullptr ? base + lane : op.active_experts[base + lane];
      if (expert >= 0) {
        first_row = op.expert_offsets[expert];
        end_row = op.expert_offsets[expert + 1];
      }
    }
    const int num_tiles = (end_row - first_row) / kBlockM + ((end_row - first_row) % kBlockM != 0);
    const int end_tile = before + warp_inclusive_sum(num_tiles, lane);
    const uint32_t lanes = __ballot_sync(kAllLanes, tile < end_tile);
    if (lanes != 0) {
      const int owner = __ffs(lanes) - 1;
      first_row += (tile - (end_tile - num_tiles)) * kBlockM;
      RowTile found;
      found.expert = __shfl_sync(kAllLanes, expert, owner);
      found.first_row = __shfl_sync(kAllLanes, first_row, owner);
      found.num_rows = min(kBlockM, __shfl_sync(kAllLanes, end_row, owner) - found.first_row);
      return found;
    }
    before = __shfl_sync(kAllLanes, end_tile, kWarpSize - 1);
  }
  return {0, 0, 0};
}

}  // namespace winnow
