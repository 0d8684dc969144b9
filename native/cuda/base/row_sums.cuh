// Sums of scaled rows of weights: what several operations end with. A block adds as many outputs as a warp reads at once;
// warp w adds the rows w, w + kRowSumWarps, ... in ascending order, then the warps' sums are added one by one to the bias.
// No atomics: the same bits on every run. Rows are read 16 bytes per thread where they are aligned to 16 bytes, else
// element by element. 8 KiB shared.
#pragma once

#include <cstdint>

#include "base/row.cuh"
#include "base/row_sums_launch.h"
#include "base/warp.cuh"
#include "base/weight_decoders.cuh"

namespace winnow {

template <typename Weight>
__device__ __forceinline__ bool row_aligned(const Weight* row, int64_t size) {
  return address_of(row) % kRowVectorBytes == 0 && size % (kRowVectorBytes / int{sizeof(Weight)}) == 0;
}

// output[j] = bias[j] + sum_p factor * row[j] for the p below count whose factor is needed. term(p, factor) sets the
// factor and returns the row, which is not read otherwise. blockIdx.x is the tile of outputs.
template <WeightFormat kFormat, typename Term, typename IsNeeded>
__device__ void sum_rows(const Term& term, const IsNeeded& is_needed, int64_t count, const float* bias, float* output,
                         int64_t size) {
  using Decoder = WeightDecoder<kFormat>;
  using Weight = typename Decoder::Element;
  constexpr int kVector = kRowVectorBytes / int{sizeof(Weight)}, kTile = kWarpSize * kVector;
  __shared__ float parts[kRowSumWarps][kTile / 2];
  const int lane = threadIdx.x % kWarpSize, warp = threadIdx.x / kWarpSize;
  const int64_t first = int64_t{blockIdx.x} * kTile, begin = first + lane * kVector;
  const Decoder decoder;
  float sums[kVector] = {};
  for (int64_t p = warp; p < count; p += kRowSumWarps) {
    float factor;
    const Weight* row = term(p, factor);
    if (!is_needed(factor)) continue;
    if (row_aligned(row, size)) {
      if (begin >= size) continue;
      float values[kVector];
      decoder.vector(values, *reinterpret_cast<const uint4*>(row + begin));
#pragma unroll
      for (int i = 0; i < kVector; ++i) sums[i] = fmaf(factor, values[i], sums[i]);
    } else {
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        if (begin + i < size) sums[i] = fmaf(factor, decoder.at(row[begin + i]), sums[i]);
      }
    }
  }
  // Half of a lane's outputs at a time, so that the shared memory fits. Each thread then adds up one output.
  for (int half = 0; half < 2; ++half) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kVector / 2; ++i)
      parts[warp][i * kWarpSize + lane] = half == 0 ? sums[i] : sums[kVector / 2 + i];
    __syncthreads();
    for (int i = threadIdx.x; i < kTile / 2; i += kRowSumWarps * kWarpSize) {
      const int64_t j = first + i % kWarpSize * kVector + half * (kVector / 2) + i / kWarpSize;
      if (j >= size) continue;
      float sum = bias == nullptr ? 0.0f : bias[j];
      for (int w = 0; w < kRowSumWarps; ++w) sum += parts[w][i];
      output[j] = sum;
    }
  }
}

}  // namespace winnow
