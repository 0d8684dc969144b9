#include "winnow/grouped_gemm.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

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
void append_plain<WeightFormat::f32>(Bytes& bytes, int value) {
  append(bytes, static_cast<float>(value));
}

template <>
void append_plain<WeightFormat::bf16>(Bytes& bytes, int value) {
  const auto number = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  append(bytes, static_cast<uint16_t>(bits >> 16));
}

template <>
void append_plain<WeightFormat::f16>(Bytes& bytes, int value) {
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
std::vector<Bytes> store_i8_row(const std::vector<int>& values, int64_t rows) {
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
};

const Format kFormats[] = {
    {WINNOW_WEIGHT_FORMAT_F32, 4, store_plain<WeightFormat::f32>},
    {WINNOW_WEIGHT_FORMAT_BF16, 2, store_plain<WeightFormat::bf16>},
    {WINNOW_WEIGHT_FORMAT_F16, 2, store_plain<WeightFormat::f16>},
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

template <typename Body>
void for_each_instruction_set(const Body& body) {
  for (winnow_instruction_set set : {WINNOW_INSTRUCTION_SET_PORTABLE, WINNOW_INSTRUCTION_SET_AVX2,
                                     WINNOW_INSTRUCTION_SET_AVX512, WINNOW_INSTRUCTION_SET_AVX512_BF16}) {
    SCOPED_TRACE("instruction set " + std::to_string(set));
    if (winnow_cpu_supports(set)) body(open_cpu(2, set));
  }
}

uint16_t upper_half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}

}  // namespace

TEST(GroupedGemm, IsExactOnIntegersAndStaysInsideItsBuffers) {
  for_each_instruction_set([](const OwnedCpu& cpu) {
    for (const Format& format : kFormats) {
      SCOPED_TRACE("format " + std::to_string(format.code));
      for (int64_t num_rows : {2, 5, 9, 140}) {
        for (int64_t input_size : {1, 15, 16, 17, 33, 63}) {
          for (int64_t output_size : {1, 5, 7, 50}) {
            Problem p(format, num_rows, input_size, output_size);
            ASSERT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), kDone);
            p.expect_exact();
            p.expect_guards_intact();
          }
        }
      }
    }
  });
}

TEST(GroupedGemm, TakesInputsOfBothTypes) {
  for_each_instruction_set([](const OwnedCpu& cpu) {
    for (const Format& format : kFormats) {
      SCOPED_TRACE("format " + std::to_string(format.code));
      Problem p(format, 9, 2100, 7);  // more than one block along k
      GuardedBuffer<uint16_t> rounded(p.input.size(), 2);
      for (int64_t i = 0; i < rounded.size(); ++i) rounded[i] = upper_half(p.input[i]);
      p.arguments.input = rounded.data();
      p.arguments.input_type = WINNOW_DTYPE_BF16;
      p.arguments.up_weights = nullptr;
      ASSERT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), kDone);
      for (int64_t i = 0; i < p.output.size(); ++i)
        ASSERT_EQ(p.output[i], p.sum(p.gate, i / p.output_size, i % p.output_size)) << "element " << i;
      rounded.expect_guards_intact();
    }
  });
}

// Every product of a factor and an element is rounded to f32 before it meets the input, on every instruction set: one
// column, so that there is nothing to add.
TEST(GroupedGemm, RoundsTheWeightOfARowFactorBeforeTheProduct) {
  for_each_instruction_set([](const OwnedCpu& cpu) {
    constexpr int64_t kRows = 255;  // every element but one
    GuardedBuffer<int8_t> elements(kRows);
    GuardedBuffer<float> factors(kRows), output(kRows);
    const float input = 1.7f;
    for (int64_t n = 0; n < kRows; ++n) {
      elements[n] = static_cast<int8_t>(n - 127);
      factors[n] = 1.0f / static_cast<float>(n + 3);
    }
    const uint64_t planes[] = {reinterpret_cast<uint64_t>(elements.data()), reinterpret_cast<uint64_t>(factors.data())};
    winnow_grouped_gemm_arguments arguments{};
    arguments.input = &input;
    arguments.weights = planes;
    arguments.output = output.data();
    arguments.num_tokens = arguments.num_rows = arguments.num_experts = arguments.num_active = 1;
    arguments.input_size = 1;
    arguments.output_size = kRows;
    arguments.weight_format = WINNOW_WEIGHT_FORMAT_I8_ROW;
    ASSERT_EQ(call(winnow_grouped_gemm, arguments, cpu), kDone);
    for (int64_t n = 0; n < kRows; ++n) {
      const float weight = factors[n] * static_cast<float>(elements[n]);
      ASSERT_EQ(output[n], input * weight) << "row " << n;
    }
    elements.expect_guards_intact();
    factors.expect_guards_intact();
  });
}

TEST(GroupedGemm, NeedsEveryPlaneOfAnExpert) {
  const OwnedCpu cpu = open_cpu(1);
  Problem p(kFormats[3], 5, 4, 3);
  p.up.table[Problem::kExperts + 1] = 0;  // the factors of expert 1
  EXPECT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), (Ended{WINNOW_REFUSED, 1}));
  p.expect_untouched();
}

TEST(GroupedGemm, RoundsToBf16) {
  const OwnedCpu cpu = open_cpu(1);
  Problem p(kFormats[0], 5, 3, 4);
  GuardedBuffer<uint16_t> output(p.output.size(), 2);
  p.arguments.output = output.data();
  p.arguments.output_type = WINNOW_DTYPE_BF16;
  p.arguments.up_weights = nullptr;
  ASSERT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), kDone);
  for (int64_t i = 0; i < output.size(); ++i)  // integers of at most 8 bits: nothing is lost
    ASSERT_EQ(output[i], upper_half(p.sum(p.gate, i / p.output_size, i % p.output_size))) << "element " << i;
  output.expect_guards_intact();
}

TEST(GroupedGemm, ComputesTheProductsOfAChainWithTheBitsOfOne) {
  std::mt19937 random(42);
  std::normal_distribution<float> normal;
  for (int32_t num_threads : {1, 3}) {
    const OwnedCpu cpu = open_cpu(num_threads);
    for (int64_t num_rows : {2, 140}) {
      Problem problems[] = {Problem(kFormats[1], num_rows, 700, 50), Problem(kFormats[0], num_rows, 33, 400),
                            Problem(kFormats[2], num_rows, 2100, 7)};
      std::vector<std::vector<float>> alone;
      for (Problem& p : problems) {
        for (int64_t i = 0; i < p.input.size(); ++i) p.input[i] = normal(random);
        ASSERT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), kDone);
        alone.emplace_back(p.output.data(), p.output.data() + p.output.size());
        p.clear();
      }
      problems[0].arguments.next = &problems[1].arguments;
      problems[1].arguments.next = &problems[2].arguments;
      ASSERT_EQ(call(winnow_grouped_gemm, problems[0].arguments, cpu), kDone);
      for (int p = 0; p < 3; ++p) {
        ASSERT_EQ(std::memcmp(problems[p].output.data(), alone[p].data(), alone[p].size() * sizeof(float)), 0)
            << "product " << p;
        problems[p].expect_guards_intact();
      }
    }
  }
}

TEST(GroupedGemm, ChecksTheWholeChainBeforeItWrites) {
  const OwnedCpu cpu = open_cpu(1);
  Problem first(kFormats[0], 5, 4, 3), second(kFormats[1], 5, 4, 3), third(kFormats[2], 5, 4, 3),
      fourth(kFormats[0], 5, 4, 3);
  first.arguments.next = &second.arguments;
  second.arguments.next = &third.arguments;

  third.source_rows[4] = 5;
  EXPECT_EQ(call(winnow_grouped_gemm, first.arguments, cpu), (Ended{WINNOW_OUT_OF_RANGE, 0}));
  third.source_rows[4] = 0;
  third.arguments.weight_format = 99;
  EXPECT_EQ(call(winnow_grouped_gemm, first.arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  third.arguments.weight_format = WINNOW_WEIGHT_FORMAT_F16;
  second.gate.table[2] = 0;
  EXPECT_EQ(call(winnow_grouped_gemm, first.arguments, cpu), (Ended{WINNOW_REFUSED, 2}));
  second.gate.table[2] = reinterpret_cast<uint64_t>(second.gate.buffers[2]->data());
  third.arguments.next = &fourth.arguments;
  EXPECT_EQ(call(winnow_grouped_gemm, first.arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  EXPECT_STREQ(winnow_last_error(), "a call has at most 3 products");
  for (Problem* p : {&first, &second, &third, &fourth}) p->expect_untouched();

  third.arguments.next = nullptr;
  EXPECT_EQ(call(winnow_grouped_gemm, first.arguments, cpu), kDone);
  for (Problem* p : {&first, &second, &third}) p->expect_exact();
}

TEST(GroupedGemm, RefusesOffsetsAndRowsOutsideTheirRange) {
  const OwnedCpu cpu = open_cpu(1, WINNOW_INSTRUCTION_SET_PORTABLE);
  float input[2] = {1, 1}, weight[1] = {1}, output[2] = {7, 7};
  uint64_t weights[] = {reinterpret_cast<uint64_t>(weight)};
  auto run = [&](int32_t source, int32_t begin, int32_t end, int32_t expert) {
    const int32_t source_rows[] = {0, source}, offsets[] = {begin, end}, active[] = {expert};
    winnow_grouped_gemm_arguments arguments{};
    arguments.input = input;
    arguments.source_rows = source_rows;
    arguments.weights = weights;
    arguments.expert_offsets = offsets;
    arguments.active_experts = active;
    arguments.output = output;
    arguments.num_tokens = arguments.num_rows = 2;
    arguments.num_experts = arguments.num_active = arguments.input_size = arguments.output_size = 1;
    return call(winnow_grouped_gemm, arguments, cpu);
  };
  const Ended out_of_range{WINNOW_OUT_OF_RANGE, 0};
  EXPECT_EQ(run(2, 0, 2, 0), out_of_range);
  EXPECT_STREQ(winnow_last_error(), "source_rows must lie below num_tokens, found 2");
  EXPECT_EQ(run(-1, 0, 2, 0), out_of_range);
  EXPECT_EQ(run(1, 0, 3, 0), out_of_range);
  EXPECT_STREQ(winnow_last_error(), "expert_offsets must ascend and stay within num_rows, found 3");
  EXPECT_EQ(run(1, 2, 1, 0), out_of_range);
  EXPECT_EQ(run(1, -1, 1, 0), out_of_range);
  EXPECT_EQ(run(1, 0, 2, 1), out_of_range);
  EXPECT_STREQ(winnow_last_error(), "active_experts must lie below num_experts, found 1");
  EXPECT_EQ(run(1, 0, 2, -2), out_of_range);
  EXPECT_EQ(output[0], 7);
  EXPECT_EQ(run(1, 0, 2, -1), kDone);  // the end of the list: nothing to do
  EXPECT_EQ(output[0], 7);
  EXPECT_EQ(run(1, 0, 2, 0), kDone);
  EXPECT_EQ(output[1], 1);
  weights[0] = 0;
  EXPECT_EQ(run(1, 0, 2, 0), (Ended{WINNOW_REFUSED, 0}));
  EXPECT_EQ(run(1, 1, 1, 0), kDone);  // no rows, so no weights are needed
}

TEST(GroupedGemm, RefusesTypesFormatsAndActivationsThatItDoesNotName) {
  const OwnedCpu cpu = open_cpu(1);
  Problem p(kFormats[0], 5, 4, 3);
  const winnow_grouped_gemm_arguments right = p.arguments;
  auto expect_refused = [&](const std::string& text) {
    EXPECT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
    EXPECT_EQ(winnow_last_error(), text);
    p.arguments = right;
  };
  for (winnow_dtype type :
       std::initializer_list<winnow_dtype>{WINNOW_DTYPE_F16, WINNOW_DTYPE_I8, WINNOW_DTYPE_U64, 7, -1}) {
    p.arguments.input_type = type;
    expect_refused("input_type must be f32 or bf16, found type " + std::to_string(type));
    p.arguments.output_type = type;
    expect_refused("output_type must be f32 or bf16, found type " + std::to_string(type));
  }
  for (winnow_weight_format format : {static_cast<winnow_weight_format>(std::size(kFormats)), 99, -1}) {
    p.arguments.weight_format = format;
    expect_refused("weight_format must be one of weight_formats.inc, found " + std::to_string(format));
  }
  for (winnow_activation activation : {WINNOW_ACTIVATION_CLAMPED_SWIGLU + 1, -1}) {
    p.arguments.activation = activation;
    expect_refused("activation must be one of activation.h, found " + std::to_string(activation));
  }
  p.arguments.up_weights = nullptr;
  p.arguments.activation = WINNOW_ACTIVATION_CLAMPED_SWIGLU;
  expect_refused("clamped_swiglu needs up_weights");
  p.expect_untouched();
}

TEST(GroupedGemm, StaysInsideItsBuffersWhileIndicesAndAddressesChange) {
  const OwnedCpu cpu = open_cpu(2);
  Problem p(kFormats[0], 140, 33, 50);
  auto run = [&] {
    for (int i = 0; i < kFlippedCalls; ++i) {
      const winnow_status status = call(winnow_grouped_gemm, p.arguments, cpu).status;
      ASSERT_TRUE(status == WINNOW_DONE || status == WINNOW_REFUSED || status == WINNOW_OUT_OF_RANGE) << status;
    }
    p.expect_guards_intact();
  };
  constexpr int32_t kFar = 1 << 30;
  for (int32_t* index : {&p.source_rows[70], &p.offsets[2], &p.offsets[3], &p.active[1]}) {
    const Flipped<int32_t> flipped(index, *index, kFar);
    run();
  }
  for (uint64_t* address : {&p.gate.table[2], &p.up.table[2], &p.biases[2]}) {
    const Flipped<uint64_t> flipped(address, *address, 0);
    run();
  }
  p.clear();
  ASSERT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), kDone);
  p.expect_exact();
}

TEST(GroupedGemm, AddsNothingForInputsWithoutColumns) {
  for_each_instruction_set([](const OwnedCpu& cpu) {
    for (const Format& format : kFormats) {
      Problem p(format, 5, 0, 3);
      ASSERT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), kDone);
      for (int64_t i = 0; i < p.output.size(); ++i) ASSERT_EQ(p.output[i], p.bias[i % 3] * p.bias[i % 3]);
    }
  });
}

}  // namespace winnow
