// output[r, n] = bias(r, n) + sum_k left(r, k) * matrix[k, n], where a block makes the left elements while it runs.
//
// Layout   matrix row-major, row k at k * columns. In shared memory left elements [k][rows], matrix elements
//          [k][columns], both f32.
// Grid     x: tile of rows; y: tile of columns; z: part of k if extras.parts is set, else 1.
// Block    kRowProductThreads; a thread has 4 rows and 4 columns.
// Memory   reads each matrix element once per tile of rows.
// Order    parts of kRowProductPart elements, k ascending, f32; the parts are added in order, by the same thread or by
//          merge_row_products; then the bias. No atomics: the same bits on every run and for every division.
// Needs    rows, columns and depth >= 1.
#pragma once

#include <cstdint>

#include "base/element.cuh"
#include "base/row_products_launch.h"

namespace winnow {

constexpr int kRowProductLeftStride = kRowProductTileRows + 4;  // a thread's 4 rows stay aligned to 16 bytes

struct RowProductStage {
  float left[kRowProductDepth][kRowProductLeftStride];
  float matrix[kRowProductDepth][kRowProductTileColumns];
};

struct RowProductShape {
  int64_t num_rows, depth, columns;
};

template <typename Element>
__device__ __forceinline__ void stage_matrix(RowProductStage& stage, const Element* matrix,
                                             const RowProductShape& shape, int64_t k_begin, int64_t column_begin) {
  constexpr int kRowsAtOnce = kRowProductThreads / kRowProductTileColumns;
  const int column = threadIdx.x % kRowProductTileColumns;
#pragma unroll
  for (int k = threadIdx.x / kRowProductTileColumns; k < kRowProductDepth; k += kRowsAtOnce) {
    const bool inside = k_begin + k < shape.depth && column_begin + column < shape.columns;
    stage.matrix[k][column] = inside ? to_f32(matrix[(k_begin + k) * shape.columns + column_begin + column]) : 0.0f;
  }
}

__device__ __forceinline__ void multiply_stage(const RowProductStage& stage, int row, int column, float (&sums)[4][4]) {
#pragma unroll
  for (int k = 0; k < kRowProductDepth; ++k) {
    const float4 left = *reinterpret_cast<const float4*>(&stage.left[k][row]);
    const float4 right = *reinterpret_cast<const float4*>(&stage.matrix[k][column]);
    const float l[4] = {left.x, left.y, left.z, left.w}, m[4] = {right.x, right.y, right.z, right.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) sums[i][j] = fmaf(l[i], m[j], sums[i][j]);
    }
  }
}

// Left has stage(RowProductStage&, k_begin, row_begin), which fills all left elements, with 0 outside the product, and
// bias(row, column).
template <typename Element, typename Left>
__device__ void row_products(const Left& left, const Element* matrix, float* output, const RowProductShape& shape,
                             float* parts) {
  __shared__ __align__(16) RowProductStage stage;
  constexpr int kThreadColumns = kRowProductTileColumns / 4;
  const int row = threadIdx.x / kThreadColumns * 4, column = threadIdx.x % kThreadColumns * 4;
  const int64_t row_begin = int64_t{blockIdx.x} * kRowProductTileRows;
  const int64_t column_begin = int64_t{blockIdx.y} * kRowProductTileColumns;
  const int64_t k_end = parts == nullptr ? shape.depth : min((blockIdx.z + int64_t{1}) * kRowProductPart, shape.depth);
  float total[4][4] = {};
  for (int64_t begin = int64_t{blockIdx.z} * kRowProductPart; begin < k_end; begin += kRowProductPart) {
    float sums[4][4] = {};
    for (int64_t k = begin; k < min(begin + kRowProductPart, k_end); k += kRowProductDepth) {
      __syncthreads();  // the last stage has been read
      left.stage(stage, k, row_begin);
      stage_matrix(stage, matrix, shape, k, column_begin);
      __syncthreads();
      multiply_stage(stage, row, column, sums);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) total[i][j] += sums[i][j];
    }
  }
  float* to = parts == nullptr ? output : parts + blockIdx.z * shape.num_rows * shape.columns;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int64_t r = row_begin + row + i;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int64_t n = column_begin + column + j;
      if (r < shape.num_rows && n < shape.columns)
        to[r * shape.columns + n] = parts == nullptr ? total[i][j] + left.bias(r, n) : total[i][j];
    }
  }
}

// Adds the parts of each output in order, then the bias. Any grid along x.
template <typename Left>
__device__ void merge_row_products(const Left& left, float* output, const RowProductShape& shape, const float* parts) {
  const int64_t size = shape.num_rows * shape.columns;
  const int64_t num_parts = (shape.depth + kRowProductPart - 1) / kRowProductPart;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < size; i += stride) {
    float total = 0;
    for (int64_t part = 0; part < num_parts; ++part) total += parts[part * size + i];
    output[i] = total + left.bias(i / shape.columns, i % shape.columns);
  }
}

}  // namespace winnow
