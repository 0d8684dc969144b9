#include "winnow/grouped_gemm.h"

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "flipped.h"
#include "grouped_gemm_problem.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

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
    p.arguments.product_type = type;
    expect_refused("product_type must be f32 or bf16, found type " + std::to_string(type));
    p.arguments.output_type = type;
    expect_refused("output_type must be f32 or bf16, found type " + std::to_string(type));
  }
  for (winnow_weight_format format : {static_cast<winnow_weight_format>(std::size(kFormats)), 99, -1}) {
    p.arguments.weight_format = format;
    expect_refused("weight_format must be one of weight_formats.inc, found " + std::to_string(format));
  }
  for (winnow_activation activation : {WINNOW_ACTIVATION_DRELU + 1, -1}) {
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
