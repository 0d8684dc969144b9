// What sparse_ffn_cpu.cpp does with rows of weights, one table per instruction set and format.
#pragma once

#include <cstdint>

#include "winnow/base/weight_format.h"

namespace winnow {

struct SparseFfnRows {
  int64_t step;  // elements; packed vectors are whole steps

  // To the order of packed vectors, and back.
  void (*pack)(const float* from, int64_t size, float* packed);
  void (*unpack)(const float* packed, int64_t size, float* to);

  // sums[i] = sum_k row[k] * packed[i][k] for count vectors. The row that comes next is requested meanwhile.
  void (*dot)(const char* row, const char* next, const float* const* packed, int64_t count, int64_t size, float* sums);

  // sums[i] += factors[i] * row for count packed vectors, in the steps [begin, end).
  void (*add_scaled)(const char* row, const char* next, const float* factors, float* const* sums, int64_t count,
                     int64_t begin, int64_t end, int64_t size);
};

// Null for a format that has no rows of its own.
const SparseFfnRows* sparse_ffn_rows_portable(WeightFormat format);
const SparseFfnRows* sparse_ffn_rows_avx2(WeightFormat format);
const SparseFfnRows* sparse_ffn_rows_avx512(WeightFormat format);

}  // namespace winnow
