#include "winnow/thresholded_linear.h"

#include "flipped.h"
#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

constexpr int64_t kTokens = 17, kInputs = 5;

// Token t has the inputs t % 3 - 1 everywhere; all weights are 1.
template <typename Element>
struct Problem {
  GuardedBuffer<float> input, bias, output;
  GuardedBuffer<Element> weight;
  winnow_thresholded_linear_arguments arguments{};

  Problem(int64_t output_size, winnow_weight_format format, Element one, int64_t misalignment)
      : input(kTokens * kInputs, misalignment),
        bias(output_size, misalignment),
        output(kTokens * output_size, misalignment),
        weight(kInputs * output_size, misalignment) {
    for (int64_t i = 0; i < input.size(); ++i) input[i] = static_cast<float>(i / kInputs % 3 - 1);
    for (int64_t i = 0; i < weight.size(); ++i) weight[i] = one;
    for (int64_t i = 0; i < output_size; ++i) bias[i] = 3;
    arguments.input = input.data();
    arguments.weight = weight.data();
    arguments.bias = bias.data();
    arguments.output = output.data();
    arguments.num_tokens = kTokens;
    arguments.input_size = kInputs;
    arguments.output_size = output_size;
    arguments.weight_format = format;
    arguments.threshold = 0.5f;
  }
};

template <typename Element>
void stays_inside(winnow_weight_format format, Element one) {
  for (winnow_instruction_set set = 0; set <= WINNOW_INSTRUCTION_SET_AMX_BF16; ++set) {
    if (!winnow_cpu_supports(set)) continue;
    const OwnedCpu cpu = open_cpu(2, set);
    for (int64_t size : {1, 15, 16, 33, 200}) {
      Problem<Element> problem(size, format, one, 4);
      ASSERT_EQ(call(winnow_thresholded_linear, problem.arguments, cpu), kDone);
      for (int64_t i = 0; i < problem.output.size(); ++i)
        ASSERT_EQ(problem.output[i], 3 + kInputs * static_cast<float>(i / size % 3 - 1));
      problem.output.expect_guards_intact();
      problem.weight.expect_guards_intact();
    }
  }
}

}  // namespace

TEST(ThresholdedLinear, StaysInsideItsBuffers) {
  stays_inside<float>(WINNOW_WEIGHT_FORMAT_F32, 1.0f);
  stays_inside<uint16_t>(WINNOW_WEIGHT_FORMAT_BF16, 0x3f80);
  stays_inside<uint16_t>(WINNOW_WEIGHT_FORMAT_F16, 0x3c00);
}

TEST(ThresholdedLinear, StaysInsideItsBuffersWhileInputsChange) {
  const OwnedCpu cpu = open_cpu(2);
  Problem<float> problem(17, WINNOW_WEIGHT_FORMAT_F32, 1.0f, 0);
  const Flipped<float> flipped(&problem.input[2], 1.0f, 0.0f);
  for (int i = 0; i < kFlippedCalls; ++i) ASSERT_EQ(call(winnow_thresholded_linear, problem.arguments, cpu), kDone);
  problem.output.expect_guards_intact();
}

TEST(ThresholdedLinear, RefusesOtherFormats) {
  const OwnedCpu cpu = open_cpu(1);
  Problem<float> problem(4, WINNOW_WEIGHT_FORMAT_I8_ROW, 1.0f, 0);
  EXPECT_EQ(call(winnow_thresholded_linear, problem.arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
}

}  // namespace winnow
