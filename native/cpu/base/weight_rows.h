// Dot products with single rows of weights, and sums of scaled rows: one table per instruction set and format.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"
#include "winnow/base/weight_format.h"

namespace winnow {

struct WeightRows {
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

// Throws std::invalid_argument for a format that has no rows of its own.
const WeightRows& weight_rows(InstructionSet instruction_set, winnow_weight_format format);

// Null for a format that has no rows of its own.
const WeightRows* weight_rows_portable(WeightFormat format);
const WeightRows* weight_rows_avx2(WeightFormat format);
const WeightRows* weight_rows_avx512(WeightFormat format);

}  // namespace winnow
