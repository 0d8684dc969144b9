// Grouped GEMMs with known results for the native test: matrices of small integers in every weight format, in guarded
// buffers.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "guarded_buffer.h"
#include "operation_call.h"
#include "winnow/base/memory.h"
#include "winnow/grouped_gemm.h"

namespace winnow {

inline constexpr winnow_instruction_set kInstructionSets[] = {
    WINNOW_INSTRUCTION_SET_PORTABLE, WINNOW_INSTRUCTION_SET_AVX2, WINNOW_INSTRUCTION_SET_AVX512,
    WINNOW_INSTRUCTION_SET_AVX512_BF16, WINNOW_INSTRUCTION_SET_AMX_BF16};

template <typename Body>
void for_each_instruction_set(const Body& body) {
  for (winnow_instruction_set set : kInstructionSets) {
    SCOPED_TRACE("instruction set " + std::to_string(set));
    if (winnow_cpu_supports(set)) body(open_cpu(2, set));
  }
}

inline uint16_t upper_half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}

// By comparison of the two neighbours, ties to the even one.
inline uint16_t nearest_bf16(float value) {
  const uint16_t below = upper_half(value);  // towards zero
  if (value != value) return static_cast<uint16_t>(below | 0x40);
  uint32_t low = uint32_t{below} << 16, high = low + 0x10000;
  float towards_zero, away;
  std::memcpy(&towards_zero, &low, sizeof low);
  std::memcpy(&away, &high, sizeof high);
  const double to_below = std::abs(double{value} - towards_zero), to_above = std::abs(double{away} - value);
  const bool up = to_above < to_below || (to_above == to_below && below % 2 != 0);
  return static_cast<uint16_t>(below + (up ? 1 : 0));
}

using Bytes = std::vector<unsigned char>;

template <typename T>
void append(Bytes& bytes, T value) {
  const auto* begin = reinterpret_cast<const unsigned char*>(&value);
  bytes.insert(bytes.end(), begin, begin + sizeof value);
}

// A small integer, stored as a plain format does.
template <WeightFormat>
void append_plain(Bytes& bytes, int value);

template <>
inline void append_plain<WeightFormat::f32>(Bytes& bytes, int value) {
  append(bytes, static_cast<float>(value));
}

template <>
inline void append_plain<WeightFormat::bf16>(Bytes& bytes, int value) {
  const auto number = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  append(bytes, static_cast<uint16_t>(bits >> 16));
}

template <>
inline void append_plain<WeightFormat::f16>(Bytes& bytes, int value) {
  constexpr uint16_t kMagnitudes[] = {0, 0x3c00, 0x4000, 0x4200, 0x4400};
  append(bytes, static_cast<uint16_t>(kMagnitudes[std::abs(value)] | (value < 0 ? 0x8000 : 0)));
}

// The planes of a matrix [rows, columns] of integers in [-4, 4].
using Store = std::vector<Bytes> (*)(const std::vector<int>& values, int64_t rows);

template <WeightFormat kFormat>
std::vector<Bytes> store_plain(const std::vector<int>& values, int64_t) {
  std::vector<Bytes> planes(1);
  for (int value : values) append_plain<kFormat>(planes[0], value);
  return planes;
}

// Factors of 1/4, 1/2 and 1, so that elements differ from their weights.
inline std::vector<Bytes> store_i8_row(const std::vector<int>& values, int64_t rows) {
  std::vector<Bytes> planes(2);
  const int64_t columns = static_cast<int64_t>(values.size()) / rows;
  for (int64_t i = 0; i < rows * columns; ++i)
    append(planes[0], static_cast<int8_t>(values[i] * (4 >> i / columns % 3)));
  for (int64_t row = 0; row < rows; ++row) append(planes[1], 0.25f * static_cast<float>(1 << row % 3));
  return planes;
}

struct Format {
  winnow_weight_format code;
  int64_t misalignment;  // the least that a matrix may have
  Store store;
  int64_t element_bytes = 0, panel_elements = 0;  // of a format with panels
};

const Format kFormats[] = {
    {WINNOW_WEIGHT_FORMAT_F32, 4, store_plain<WeightFormat::f32>, 4, 1},
    {WINNOW_WEIGHT_FORMAT_BF16, 2, store_plain<WeightFormat::bf16>, 2, 2},
    {WINNOW_WEIGHT_FORMAT_F16, 2, store_plain<WeightFormat::f16>, 2, 1},
    {WINNOW_WEIGHT_FORMAT_I8_ROW, 1, store_i8_row},
};

// Tables of the planes of several experts' matrices. Each plane has its own buffer.
struct Matrices {
  int64_t num_experts, rows, columns;
  std::vector<std::vector<int>> values;  // by expert
  std::vector<std::unique_ptr<GuardedBuffer<unsigned char>>> buffers;
  std::vector<uint64_t> table;  // [planes, num_experts]

  Matrices(const Format& format, int64_t num_experts, int64_t rows, int64_t columns, int salt)
      : num_experts(num_experts), rows(rows), columns(columns) {
    for (int64_t e = 0; e < num_experts; ++e) {
      auto& matrix = values.emplace_back();
      for (int64_t i = 0; i < rows * columns; ++i)
        matrix.push_back(static_cast<int>((i / columns * 7 + i % columns * 3 + e + salt) % 9) - 4);
      const std::vector<Bytes> planes = format.store(matrix, rows);
      table.resize(planes.size() * num_experts);
      for (size_t p = 0; p < planes.size(); ++p) {
        const auto size = static_cast<int64_t>(planes[p].size());
        auto& buffer = buffers.emplace_back(
            std::make_unique<GuardedBuffer<unsigned char>>(size, p == 0 ? 4 + format.misalignment : 4));
        std::copy(planes[p].begin(), planes[p].end(), buffer->data());
        table[p * num_experts + e] = reinterpret_cast<uint64_t>(buffer->data());
      }
    }
  }

  void arrange_in_panels(const Format& format) {
    for (const auto& buffer : buffers)
      memory_arrange_in_panels(buffer->data(), format.element_bytes, format.panel_elements, rows, columns);
  }

  void expect_guards_intact() const {
    for (const auto& buffer : buffers) buffer->expect_guards_intact();
  }
};

// Three experts with 0, 1 and num_rows - 1 rows, gated, biased, in buffers that start off their 64-byte boundary.
// Whatever the order of addition, the results are integers below 2^24.
struct Problem {
  static constexpr int64_t kExperts = 3;
  int64_t num_rows, input_size, output_size;
  Matrices gate, up;
  GuardedBuffer<float> input, bias, output;
  GuardedBuffer<int32_t> source_rows{num_rows, 4}, offsets{4}, active{2};
  uint64_t biases[kExperts];
  winnow_grouped_gemm_arguments arguments{};

  Problem(const Format& format, int64_t num_rows, int64_t input_size, int64_t output_size)
      : num_rows(num_rows),
        input_size(input_size),
        output_size(output_size),
        gate(format, kExperts, output_size, input_size, 0),
        up(format, kExperts, output_size, input_size, 5),
        input(num_rows * input_size, 4),
        bias(output_size, 4),
        output(num_rows * output_size, 4) {
    for (int64_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i / input_size * 5 % 4 + i % 5 - 3);
    for (int64_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i % 3);
    for (int64_t i = 0; i < num_rows; ++i) source_rows[i] = static_cast<int32_t>(num_rows - 1 - i);
    offsets[0] = offsets[1] = 0;
    offsets[2] = 1;
    offsets[3] = static_cast<int32_t>(num_rows);
    active[0] = 1;
    active[1] = 2;
    for (uint64_t& address : biases) address = reinterpret_cast<uint64_t>(bias.data());
    gate.table[0] = up.table[0] = 0;  // expert 0 has no rows: it need not be resident
    arguments.input = input.data();
    arguments.source_rows = source_rows.data();
    arguments.weights = gate.table.data();
    arguments.up_weights = up.table.data();
    arguments.biases = arguments.up_biases = biases;
    arguments.expert_offsets = offsets.data();
    arguments.active_experts = active.data();
    arguments.output = output.data();
    arguments.num_tokens = arguments.num_rows = num_rows;
    arguments.num_experts = kExperts;
    arguments.num_active = 2;
    arguments.input_size = input_size;
    arguments.output_size = output_size;
    arguments.weight_format = format.code;
    clear();
  }

  void clear() {
    for (int64_t i = 0; i < output.size(); ++i) output[i] = __builtin_nanf("");
  }

  float sum(const Matrices& matrices, int64_t row, int64_t column) {
    const auto& matrix = matrices.values[row < offsets[2] ? 1 : 2];
    double total = bias[column];
    for (int64_t k = 0; k < input_size; ++k)
      total += static_cast<double>(input[source_rows[row] * input_size + k]) * matrix[column * input_size + k];
    return static_cast<float>(total);
  }

  void expect_exact() {
    for (int64_t i = 0; i < output.size(); ++i) {
      const int64_t row = i / output_size, column = i % output_size;
      ASSERT_EQ(output[i], sum(gate, row, column) * sum(up, row, column)) << "row " << row << ", column " << column;
    }
  }

  void expect_untouched() {
    for (int64_t i = 0; i < output.size(); ++i) ASSERT_NE(output[i], output[i]) << "element " << i;
  }

  void expect_guards_intact() const {
    for (auto* buffer : {&input, &bias, &output}) buffer->expect_guards_intact();
    gate.expect_guards_intact();
    up.expect_guards_intact();
  }
};

}  // namespace winnow
