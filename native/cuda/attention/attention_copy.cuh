// Rows of keys and values on their way through shared memory: copied into it, and read from it as f32.
#pragma once

#include <cstdint>

#include "base/async_copy.cuh"
#include "base/element.cuh"

namespace winnow {

// Where a row of kDepth elements of 16 bits holds a column: its four vectors of 16 bytes change places from row to row. So
// the same vector of eight rows, and all vectors of two rows, touch all banks once.
__device__ __forceinline__ int swapped(int row, int column) { return column ^ (row / 2 % 4 * 8); }

// Copies ROWS x WIDTH elements. Only rows [begin, end) and the first `width` columns exist; the rest becomes zero.
template <int ROWS, int WIDTH, int THREADS, bool SWAPPED, typename T>
__device__ __forceinline__ void copy_rows(T* shared, int shared_stride, const T* source, int64_t stride, int begin,
                                          int end, int width, bool aligned) {
  constexpr int kBytes = sizeof(T), kVector = 16 / kBytes;
  const uint32_t target = shared_address(shared);
  if (aligned) {
    const int column = threadIdx.x % (WIDTH / kVector) * kVector, rest = min(max(width - column, 0), kVector);
#pragma unroll 2
    for (int row = threadIdx.x / (WIDTH / kVector); row < ROWS; row += THREADS / (WIDTH / kVector)) {
      const uint32_t bytes = row >= begin && row < end ? kBytes * rest : 0;
      copy_async_16(target + (row * shared_stride + (SWAPPED ? swapped(row, column) : column)) * kBytes,
                    bytes == 0 ? source : source + row * stride + column, bytes);
    }
  } else {
    const int column = threadIdx.x % WIDTH;
#pragma unroll 1
    for (int row = threadIdx.x / WIDTH; row < ROWS; row += THREADS / WIDTH) {
      const bool exists = row >= begin && row < end && column < width;
      if constexpr (kBytes == 4) {
        copy_async_4(target + (row * shared_stride + column) * kBytes, exists ? source + row * stride + column : source,
                     exists ? kBytes : 0);
      } else {  // no asynchronous copy is that small; the barrier before the piece is read orders this one
        shared[row * shared_stride + (SWAPPED ? swapped(row, column) : column)] =
            exists ? source[row * stride + column] : T{};
      }
    }
  }
}

// Four neighbouring elements of shared memory as f32.
__device__ __forceinline__ float4 load_four(const float* from) { return *reinterpret_cast<const float4*>(from); }
template <typename T>
__device__ __forceinline__ float4 load_four(const T* from) {
  const uint2 words = *reinterpret_cast<const uint2*>(from);
  const float2 low = unpack(words.x, T{}), high = unpack(words.y, T{});
  return make_float4(low.x, low.y, high.x, high.y);
}

}  // namespace winnow
