// Grouped GEMMs over panels and in bf16 arithmetic.
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "grouped_gemm_problem.h"
#include "guarded_buffer.h"
#include "operation_call.h"
#include "winnow/grouped_gemm.h"

namespace winnow {

TEST(GroupedGemm, IsExactOnPanelsAndStaysInsideItsBuffers) {
  for_each_instruction_set([](const OwnedCpu& cpu) {
    for (const Format& format : kFormats) {
      if (format.panel_elements == 0) continue;
      SCOPED_TRACE("format " + std::to_string(format.code));
      for (int64_t num_rows : {2, 3, 9, 40, 140}) {
        for (int64_t input_size : {1, 16, 31, 32, 33, 65, 300}) {
          for (int64_t output_size : {1, 15, 16, 17, 50}) {
            if (num_rows * input_size * output_size > 200000) continue;
            for (bool bf16 : {false, true}) {
              Problem p(format, num_rows, input_size, output_size);
              p.gate.arrange_in_panels(format);
              p.up.arrange_in_panels(format);
              p.arguments.weight_layout = WINNOW_WEIGHT_LAYOUT_PANELS;
              GuardedBuffer<uint16_t> rounded(p.input.size(), 2);
              for (int64_t i = 0; i < rounded.size(); ++i) rounded[i] = upper_half(p.input[i]);
              if (bf16) p.arguments.input = rounded.data();
              if (bf16) p.arguments.input_type = WINNOW_DTYPE_BF16;
              ASSERT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), kDone);
              p.expect_exact();
              p.expect_guards_intact();
              rounded.expect_guards_intact();
            }
          }
        }
      }
    }
  });
}

// One and two rows are multiplied by FMAs, more by tiles: both in one order, subnormal numbers, infinities and NaN
// included.
TEST(GroupedGemm, HasOneOrderForFewAndManyRowsOnAmx) {
  if (!winnow_cpu_supports(WINNOW_INSTRUCTION_SET_AMX_BF16)) GTEST_SKIP() << "no AMX";
  const OwnedCpu cpu = open_cpu(1, WINNOW_INSTRUCTION_SET_AMX_BF16);
  std::mt19937 random(7);
  constexpr int64_t kRows = 19, kSize = 229, kOutputs = 70;
  for (uint32_t exponents : {0x3f, 0xff}) {  // moderate values, then all there are
    std::vector<uint16_t> input(kRows * kSize), weights(kOutputs * kSize);
    auto any = [&] {
      return static_cast<uint16_t>((random() & 0x807f) | ((random() & exponents) + (exponents == 0xff ? 0 : 96)) << 7);
    };
    for (auto& value : input) value = any();
    for (auto& value : weights) value = any();
    if (exponents == 0xff) {  // one element in four is subnormal
      for (size_t i = 0; i < weights.size(); i += 4) weights[i] &= 0x807f;
    }
    const uint64_t table = reinterpret_cast<uint64_t>(weights.data());
    winnow_grouped_gemm_arguments arguments{};
    arguments.input = input.data();
    arguments.input_type = WINNOW_DTYPE_BF16;
    arguments.weights = &table;
    arguments.weight_format = WINNOW_WEIGHT_FORMAT_BF16;
    arguments.weight_layout = WINNOW_WEIGHT_LAYOUT_PANELS;
    arguments.num_experts = arguments.num_active = 1;
    arguments.input_size = kSize;
    arguments.output_size = kOutputs;
    std::vector<float> expected(kRows * kOutputs);
    arguments.output = expected.data();
    arguments.num_tokens = arguments.num_rows = kRows;
    ASSERT_EQ(call(winnow_grouped_gemm, arguments, cpu), kDone);
    for (int64_t few : {1, 2}) {
      for (int64_t row = 0; row + few <= kRows; row += few) {
        std::vector<float> found(few * kOutputs);
        arguments.input = input.data() + row * kSize;
        arguments.output = found.data();
        arguments.num_tokens = arguments.num_rows = few;
        ASSERT_EQ(call(winnow_grouped_gemm, arguments, cpu), kDone);
        for (size_t i = 0; i < found.size(); ++i) {
          const float wanted = expected[row * kOutputs + i];
          if (wanted != wanted) {
            ASSERT_NE(found[i], found[i]) << "element " << i;
          } else {
            ASSERT_EQ(std::memcmp(&found[i], &wanted, sizeof wanted), 0)
                << "row " << row << ", element " << i << ": " << found[i] << ", " << wanted;
          }
        }
      }
    }
  }
}

// Every product of a factor and an element is rounded to f32 before it meets the input, on every instruction set: one
// column, so that there is nothing to add.
// Bit for bit, with long sums over blocks along k. The input has a tie, a carry into the exponent, a subnormal and NaN.
TEST(GroupedGemm, RoundsTheInputOfAProductInBf16AsIfItWereStored) {
  for_each_instruction_set([](const OwnedCpu& cpu) {
    std::mt19937 random(42);
    std::normal_distribution<float> normal;
    for (const Format& format : kFormats) {
      SCOPED_TRACE("format " + std::to_string(format.code));
      for (int64_t num_rows : {2, 9, 140}) {
        Problem p(format, num_rows, 2103, 7);
        for (int64_t i = 0; i < p.input.size(); ++i) p.input[i] = normal(random);
        p.input[0] = 1.00390625f, p.input[1] = -1.01171875f, p.input[2] = 1.9999999f, p.input[3] = 1e-40f;
        p.input[p.input_size] = __builtin_nanf("1");
        GuardedBuffer<uint16_t> rounded(p.input.size(), 2);
        for (int64_t i = 0; i < rounded.size(); ++i) rounded[i] = nearest_bf16(p.input[i]);
        ASSERT_EQ(rounded[0], 0x3f80);
        ASSERT_EQ(rounded[1], 0xbf82);
        p.arguments.product_type = WINNOW_DTYPE_BF16;
        ASSERT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), kDone);
        const std::vector<float> found(p.output.data(), p.output.data() + p.output.size());
        p.expect_guards_intact();
        p.arguments.input = rounded.data();
        p.arguments.input_type = WINNOW_DTYPE_BF16;
        for (winnow_dtype product : {WINNOW_DTYPE_F32, WINNOW_DTYPE_BF16}) {
          p.clear();
          p.arguments.product_type = product;
          ASSERT_EQ(call(winnow_grouped_gemm, p.arguments, cpu), kDone);
          ASSERT_EQ(std::memcmp(p.output.data(), found.data(), found.size() * sizeof(float)), 0);
        }
      }
    }
  });
}

// One product of two bf16, by instruction set and layout: vdpbf16ps and tdpbf16ps, which reads panels only, take
// subnormals for zero. With one row tdpbf16ps is imitated, with three it is used.
TEST(GroupedGemm, TakesSubnormalBf16ForZeroInBf16ArithmeticAlone) {
  const float infinity = __builtin_inff();
  struct Case {
    uint16_t input, weight;
    float product, in_bf16_arithmetic;
  };
  const float nan = __builtin_nanf("");
  const Case cases[] = {
      {0x0040, 0x7180, 0x1p-27f, 0},           // a subnormal input
      {0x7180, 0x0040, 0x1p-27f, 0},           // a subnormal weight
      {0x0080, 0x3f00, 0x1p-127f, 0},          // a subnormal sum
      {0x0080, 0x3f80, 0x1p-126f, 0x1p-126f},  // the smallest normal number
      {0x7f80, 0x0001, infinity, nan},         // infinity times zero
      {0x7f80, 0x3f80, infinity, infinity},
  };
  for (winnow_instruction_set set : kInstructionSets) {
    if (!winnow_cpu_supports(set)) continue;
    SCOPED_TRACE("instruction set " + std::to_string(set));
    const OwnedCpu cpu = open_cpu(1, set);
    for (winnow_weight_layout layout : {WINNOW_WEIGHT_LAYOUT_ROWS, WINNOW_WEIGHT_LAYOUT_PANELS}) {
      const bool flushes = set == WINNOW_INSTRUCTION_SET_AVX512_BF16 ||
                           (set == WINNOW_INSTRUCTION_SET_AMX_BF16 && layout == WINNOW_WEIGHT_LAYOUT_PANELS);
      for (const Case& c : cases) {
        for (int64_t num_rows : {1, 3}) {
          const uint32_t bits = uint32_t{c.input} << 16;
          float stored, outputs[3];
          std::memcpy(&stored, &bits, sizeof stored);
          const float inputs[] = {stored, stored, stored};
          const uint64_t weights[] = {reinterpret_cast<uint64_t>(&c.weight)};  // one element is a panel, too
          winnow_grouped_gemm_arguments arguments{};
          arguments.input = inputs;
          arguments.weights = weights;
          arguments.output = outputs;
          arguments.num_tokens = arguments.num_rows = num_rows;
          arguments.num_experts = arguments.num_active = 1;
          arguments.input_size = arguments.output_size = 1;
          arguments.weight_format = WINNOW_WEIGHT_FORMAT_BF16;
          arguments.weight_layout = layout;
          arguments.product_type = WINNOW_DTYPE_BF16;
          ASSERT_EQ(call(winnow_grouped_gemm, arguments, cpu), kDone);
          const float expected = flushes ? c.in_bf16_arithmetic : c.product;
          for (int64_t row = 0; row < num_rows; ++row)
            EXPECT_TRUE(outputs[row] == expected || (outputs[row] != outputs[row] && expected != expected))
                << "layout " << layout << ", " << c.input << " times " << c.weight << ": " << outputs[row];
        }
      }
    }
  }
}

}  // namespace winnow
