// output[r, n] = activation(bias_e[n] + sum_k input[source_rows[r], k] * weight_e[n, k] [, the same of up]) for the rows r of expert e: see
// winnow/grouped_gemm.h. Inside: m = rows of one expert, n = output_size, k = input_size.
//
// grouped_gemm_gemv: few rows per expert. One row by 8 rows of weights per warp, up to three independent products in one launch.
//   Layout   16-byte loads where a matrix, the input row and the length of a row are multiples of 16 bytes; else element by element, the same sums.
//   Grid     x: the blocks of the three products one after the other; in a product row fastest, then column group. Depends on sizes alone, not on offsets.
//   Block    128 threads. threads_per_dot 128: the block computes 8 rows of weights (gated: 4 columns), each warp a quarter of k; 32: each warp computes 8.
//   Memory   each weight of the row's expert once, the input row once per block; 128 bytes of shared memory.
//   Order    f32; each thread adds its vectors along k, then a butterfly over the warp, then four warps in a fixed order, then the bias. No atomics.
// grouped_gemm_tensor_*: many rows, bf16 weights. grouped_gemm_scalar_*: many rows, f32 or f16 weights.
//   Layout   tiles of 64 rows by 128 rows of weights, 32 elements of k per stage, copied by cp.async (grouped_gemm_tile.cuh); rows gathered by source_rows.
//   Grid     x: row tile, at most num_rows / 64 + number of active experts, surplus blocks exit; y: 128 output columns, 64 if gated.
//   Block    128 threads.
//   Memory   the expert's weights once per row tile; 36 to 48 KiB of shared memory: 3 stages with tensor cores, 2 without.
//   Order    f32, k ascending: a row has the same bits whatever the others. With tensor cores 16 products are added at once, in the device's order; f32 input
//            is split into three bf16 (exact), and an infinite weight may then give NaN where the contract gives infinity. No atomics.
// Needs    num_rows >= 1, input_size, output_size below 2^31. Contents of arrays are trusted. Rows of an active expert
//          without weights become NaN: a block has no other way to say so.
#include "grouped_gemm/grouped_gemm_gemv.cuh"
#include "grouped_gemm/grouped_gemm_products.cuh"

using winnow::bf16;
using winnow::f16;
using winnow::GroupedGemmProblem;

extern "C" __global__ void __launch_bounds__(winnow::kGemvThreads, 5)
    grouped_gemm_gemv(const GroupedGemmProblem first, const GroupedGemmProblem second, const GroupedGemmProblem third) {
  int block = blockIdx.x;
  GroupedGemmProblem op = first;
  if (block >= op.num_blocks) {
    block -= op.num_blocks;
    op = second;
    if (block >= op.num_blocks) {
      block -= op.num_blocks;
      op = third;
    }
  }
  winnow::multiply_row(op, block);
}

namespace {

template <typename Input, bool kGated>
__device__ __forceinline__ void multiply_tensor(const GroupedGemmProblem& op) {
  winnow::multiply_tile<Input, bf16, kGated, 3, winnow::TensorProducts<Input, kGated>>(op);
}

template <typename Input, typename Weight, bool kGated>
__device__ __forceinline__ void multiply_scalar(const GroupedGemmProblem& op) {
  winnow::multiply_tile<Input, Weight, kGated, 2, winnow::ScalarProducts<Input, Weight>>(op);
}

}  // namespace

// blocks: on a multiprocessor together, which bounds the registers.
#define WINNOW_TILE_KERNEL(name, blocks, body)                               \
  extern "C" __global__ void __launch_bounds__(winnow::kTileThreads, blocks) \
      grouped_gemm_##name(const GroupedGemmProblem op) {                     \
    body(op);                                                                \
  }

// Named after the types of input and weights.
WINNOW_TILE_KERNEL(tensor_f32_bf16, 2, (multiply_tensor<float, false>))
WINNOW_TILE_KERNEL(tensor_f32_bf16_gated, 2, (multiply_tensor<float, true>))
WINNOW_TILE_KERNEL(tensor_bf16_bf16, 4, (multiply_tensor<bf16, false>))
WINNOW_TILE_KERNEL(tensor_bf16_bf16_gated, 4, (multiply_tensor<bf16, true>))
WINNOW_TILE_KERNEL(scalar_f32_f32, 3, (multiply_scalar<float, float, false>))
WINNOW_TILE_KERNEL(scalar_f32_f32_gated, 3, (multiply_scalar<float, float, true>))
WINNOW_TILE_KERNEL(scalar_f32_f16, 3, (multiply_scalar<float, f16, false>))
WINNOW_TILE_KERNEL(scalar_f32_f16_gated, 3, (multiply_scalar<float, f16, true>))
WINNOW_TILE_KERNEL(scalar_bf16_f32, 3, (multiply_scalar<bf16, float, false>))
WINNOW_TILE_KERNEL(scalar_bf16_f32_gated, 3, (multiply_scalar<bf16, float, true>))
WINNOW_TILE_KERNEL(scalar_bf16_f16, 3, (multiply_scalar<bf16, f16, false>))
WINNOW_TILE_KERNEL(scalar_bf16_f16_gated, 3, (multiply_scalar<bf16, f16, true>))
