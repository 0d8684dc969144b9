// Reads a row of f32 with one block in pieces of four, and computes sums over it. A piece is moved as one float4 or
// element by element; the bits of a sum are the same.
#pragma once

#include <cstdint>

#include "base/warp.cuh"

namespace winnow {

// Whether rows can be moved as float4. The arguments are the bitwise or of all addresses, and of all row sizes and
// strides.
__device__ __forceinline__ bool rows_aligned(uint64_t addresses, int64_t sizes) {
  return addresses % sizeof(float4) == 0 && sizes % 4 == 0;
}

__device__ __forceinline__ uint64_t address_of(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

// Elements 4 * piece to 4 * piece + 3; 0 after the row's end.
__device__ __forceinline__ float4 load_piece(const float* row, int64_t piece, int64_t size, bool aligned) {
  if (aligned) return reinterpret_cast<const float4*>(row)[piece];
  const int64_t i = 4 * piece;
  return make_float4(row[i], i + 1 < size ? row[i + 1] : 0.0f, i + 2 < size ? row[i + 2] : 0.0f,
                     i + 3 < size ? row[i + 3] : 0.0f);
}

__device__ __forceinline__ void store_piece(float* row, int64_t piece, int64_t size, bool aligned, float4 value) {
  if (aligned) {
    reinterpret_cast<float4*>(row)[piece] = value;
    return;
  }
  const int64_t i = 4 * piece;
  row[i] = value.x;
  if (i + 1 < size) row[i + 1] = value.y;
  if (i + 2 < size) row[i + 2] = value.z;
  if (i + 3 < size) row[i + 3] = value.w;
}

// Returns the sum over the block's threads to each of them, first inside each warp, then warp by warp. All threads must
// call. `parts` has one value per warp; a barrier must come before the next call with the same memory.
__device__ __forceinline__ double block_sum(double value, double* parts) {
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kAllLanes, value, distance);
  if (threadIdx.x % kWarpSize == 0) parts[threadIdx.x / kWarpSize] = value;
  __syncthreads();
  double sum = 0.0;
  for (int warp = 0; warp < blockDim.x / kWarpSize; ++warp) sum += parts[warp];
  return sum;
}

}  // namespace winnow
