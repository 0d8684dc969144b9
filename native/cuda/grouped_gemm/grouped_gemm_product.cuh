// One grouped product as blocks compute it, and how a block finds its expert on the device. The arrays are those of
// winnow/grouped_gemm.h, in device memory; their contents are trusted.
#pragma once

#include <cstdint>

#include "base/warp.cuh"
#include "base/weight_decoders.cuh"
#include "grouped_gemm/grouped_gemm_launch.h"
#include "winnow/grouped_gemm.h"

namespace winnow {

// The lower half of a value. Only this half is read.
__device__ __forceinline__ int32_t narrowed(const int64_t& value) {
  int32_t low;
  memcpy(&low, &value, sizeof(low));
  return low;
}

// The arguments, with sizes in 32 bits.
struct Product {
  const void* input;
  const int32_t* source_rows;
  const uint64_t* weights;
  const uint64_t* up_weights;
  const uint64_t* biases;
  const uint64_t* up_biases;
  const int32_t* expert_offsets;
  const int32_t* active_experts;
  void* output;
  int32_t num_rows, num_experts, num_active, input_size, output_size;
  DType input_type, product_type;
  WeightFormat weight_format;
  DType output_type;
  Activation activation;

  __device__ explicit Product(const winnow_grouped_gemm_arguments& arguments)
      : input(arguments.input),
        source_rows(arguments.source_rows),
        weights(arguments.weights),
        up_weights(arguments.up_weights),
        biases(arguments.biases),
        up_biases(arguments.up_biases),
        expert_offsets(arguments.expert_offsets),
        active_experts(arguments.active_experts),
        output(arguments.output),
        num_rows(narrowed(arguments.num_rows)),
        num_experts(narrowed(arguments.num_experts)),
        num_active(narrowed(arguments.num_active)),
        input_size(narrowed(arguments.input_size)),
        output_size(narrowed(arguments.output_size)),
        input_type(static_cast<DType>(arguments.input_type)),
        product_type(static_cast<DType>(arguments.product_type)),
        weight_format(static_cast<WeightFormat>(arguments.weight_format)),
        output_type(static_cast<DType>(arguments.output_type)),
        activation(static_cast<Activation>(arguments.activation)) {}

  // Of a bf16 input that changes nothing.
  __device__ bool rounds_input() const { return product_type == DType::bf16; }
  __device__ bool is_gated() const { return up_weights != nullptr; }
  __device__ int64_t source_row(int row) const { return source_rows == nullptr ? row : source_rows[row]; }
};

// What an output is set to where an active expert has no weights.
constexpr float kNoWeights = __builtin_nanf("");

// The matrices of one expert.
struct Expert {
  const void* weight;  // null: not resident
  const void* up;
  const float* bias;  // null: none
  const float* up_bias;

  __device__ Expert(const Product& op, int expert)
      : weight(reinterpret_cast<const void*>(op.weights[expert])),
        up(op.up_weights == nullptr ? nullptr : reinterpret_cast<const void*>(op.up_weights[expert])),
        bias(op.biases == nullptr ? nullptr : reinterpret_cast<const float*>(op.biases[expert])),
        up_bias(op.up_biases == nullptr ? nullptr : reinterpret_cast<const float*>(op.up_biases[expert])) {}

  __device__ bool is_resident(bool gated) const { return weight != nullptr && (!gated || up != nullptr); }
};

// The decoder of a row of an expert's matrix. `table` is weights or up_weights; each plane has num_experts entries
// there.
template <WeightFormat kFormat>
__device__ __forceinline__ WeightDecoder<kFormat> row_decoder(const Product& op, const uint64_t* table, int expert,
                                                              int row) {
  if constexpr (WeightFormatTraits<kFormat>::kPlanes == 1)
    return {};
  else
    return WeightDecoder<kFormat>(reinterpret_cast<const float*>(table[op.num_experts + expert])[row]);
}

// The active expert that has this row, or -1. The whole warp must call. Each lane looks at every 32nd expert, so no
// load waits for an earlier comparison, as it would in a binary search.
__device__ __forceinline__ int find_expert(const Product& op, int row, int lane) {
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

// Tile number `tile`. Each active expert has as many tiles as its rows need; only its last one may be partly filled.
// The whole warp must call.
template <int kBlockM>
__device__ __forceinline__ RowTile find_row_tile(const Product& op, int tile, int lane) {
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
