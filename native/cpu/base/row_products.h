// A product of rows that are made while it runs by a matrix that is stored as the weights of a convolution are:
//
//   output[r, n] = bias_r[n] + sum_k left[r, k] * matrix[k, n]
//
// Loop order: part of k > step of k > panel of columns > tile of rows > k. A step's rows of the matrix are widened to
// f32 once into panels and stay in L2; its left elements lie side by side by k and stay in L1. A tile keeps its sums in
// registers.
//
// Parts are summed apart and added in order, so they can be computed by different threads. Each matrix element is
// read once per group of rows.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"
#include "winnow/base/dtype.h"

namespace winnow {

constexpr int64_t kRowProductPart = 512;  // k of a part
constexpr int64_t kRowProductStep = 64;   // k of a step: 16 KiB of left elements of 64 rows
constexpr int64_t kRowProductRows = 96;   // most rows of a group
constexpr int64_t kRowProductColumns = 256;

// What depends on the instruction set. Arrays of f32 are as aligned as f32.
struct RowProductKernels {
  // Columns to which a panel's row is padded with zeros: a multiple of the vector's lanes.
  int64_t (*padded)(int64_t columns);
  // panels[...] = columns [column, column + columns) of depth rows of the matrix, row k at k * stride.
  void (*widen)(const void* matrix, winnow_dtype type, int64_t stride, int64_t depth, int64_t columns, float* panels);
  // sums[r, n] += left[k, r] * panels[k, n], sums padded, left [depth, left_stride]. first: sums are 0 before.
  void (*multiply)(const float* left, int64_t left_stride, const float* panels, int64_t rows, int64_t depth,
                   int64_t columns, float* sums, bool first);
  // left[k, s] = factors[k] * weights[k, s] for s in [0, count).
  void (*scale)(const float* factors, const void* weights, winnow_dtype type, int64_t weight_stride, int64_t depth,
                int64_t count, float* left, int64_t left_stride);
};

const RowProductKernels& row_product_kernels(InstructionSet instruction_set);

// The left factor and the bias.
class LeftRows {
 public:
  virtual ~LeftRows() = default;
  // left[(k - k_begin) * rows + r - row_begin] for k in [k_begin, k_begin + depth), depth <= kRowProductStep.
  virtual void pack(const RowProductKernels& kernels, int64_t k_begin, int64_t depth, int64_t row_begin, int64_t rows,
                    float* left) const = 0;
  virtual const float* bias(int64_t row) const = 0;  // [columns] or null
};

struct RowProduct {
  const void* matrix;  // [depth, columns]
  winnow_dtype matrix_type;
  float* output;  // [num_rows, columns]
  int64_t num_rows, depth, columns;
};

// Throws std::invalid_argument for a type other than f32, bf16 and f16, std::bad_alloc; nothing is written then.
void multiply_rows(const RowProduct& product, const LeftRows& left_rows, Cpu& cpu);

// Elements [begin, begin + count) of f32 or bf16 as f32.
void load_factors(const void* values, winnow_dtype type, int64_t begin, int64_t count, float* factors);

// Throws std::invalid_argument for a type that is not f32 or bf16.
void require_f32_or_bf16(const char* name, winnow_dtype type);

}  // namespace winnow
