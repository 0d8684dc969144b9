#include "winnow/multiplicative_layer.h"

#include <string>

#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

constexpr winnow_instruction_set kSets[] = {WINNOW_INSTRUCTION_SET_PORTABLE, WINNOW_INSTRUCTION_SET_AVX2,
                                            WINNOW_INSTRUCTION_SET_AVX512};

template <typename Weight>
void stays_inside(winnow_dtype weight_type, Weight one, int32_t num_threads, winnow_instruction_set set,
                  int64_t num_tokens, int64_t input_size, int64_t num_modules, int64_t module_size) {
  const OwnedCpu cpu = open_cpu(num_threads, set);
  GuardedBuffer<uint16_t> input(num_tokens * input_size, 2);
  GuardedBuffer<Weight> module_weights(input_size * num_modules, sizeof(Weight));
  GuardedBuffer<Weight> column_weights(input_size * module_size, sizeof(Weight));
  GuardedBuffer<float> bias(num_modules * module_size, 4), output(num_tokens * num_modules * module_size, 4);
  for (int64_t i = 0; i < input.size(); ++i) input[i] = 0x3f80;  // 1
  for (int64_t i = 0; i < module_weights.size(); ++i) module_weights[i] = one;
  for (int64_t i = 0; i < column_weights.size(); ++i) column_weights[i] = one;
  for (int64_t i = 0; i < bias.size(); ++i) bias[i] = 2;
  winnow_multiplicative_layer_arguments arguments{};
  arguments.input = input.data();
  arguments.module_weights = module_weights.data();
  arguments.column_weights = column_weights.data();
  arguments.bias = bias.data();
  arguments.output = output.data();
  arguments.num_tokens = num_tokens;
  arguments.input_size = input_size;
  arguments.num_modules = num_modules;
  arguments.module_size = module_size;
  arguments.input_type = WINNOW_DTYPE_BF16;
  arguments.weight_type = weight_type;
  EXPECT_EQ(call(winnow_multiplicative_layer, arguments, cpu), kDone);
  for (int64_t i = 0; i < output.size(); ++i) ASSERT_EQ(output[i], static_cast<float>(input_size + 2));
  input.expect_guards_intact();
  module_weights.expect_guards_intact();
  column_weights.expect_guards_intact();
  bias.expect_guards_intact();
  output.expect_guards_intact();
}

}  // namespace

TEST(MultiplicativeLayer, StaysInsideItsBuffers) {
  struct Sizes {
    int64_t num_tokens, input_size, num_modules, module_size;
  };
  for (winnow_instruction_set set : kSets) {
    if (!winnow_cpu_supports(set)) continue;
    for (Sizes s : {Sizes{1, 1, 1, 1}, Sizes{3, 65, 7, 5}, Sizes{1, 1025, 17, 79}, Sizes{13, 63, 8, 300}}) {
      for (int32_t num_threads : {1, 3}) {
        stays_inside<float>(WINNOW_DTYPE_F32, 1, num_threads, set, s.num_tokens, s.input_size, s.num_modules,
                            s.module_size);
        stays_inside<uint16_t>(WINNOW_DTYPE_BF16, 0x3f80, num_threads, set, s.num_tokens, s.input_size, s.num_modules,
                               s.module_size);
        stays_inside<uint16_t>(WINNOW_DTYPE_F16, 0x3c00, num_threads, set, s.num_tokens, s.input_size, s.num_modules,
                               s.module_size);
      }
    }
  }
}

TEST(MultiplicativeLayer, RefusesTypesThatItDoesNotTake) {
  const OwnedCpu cpu = open_cpu(1);
  float values[1] = {1}, output[1] = {-1};
  winnow_multiplicative_layer_arguments arguments{};
  arguments.input = arguments.module_weights = arguments.column_weights = values;
  arguments.output = output;
  arguments.num_tokens = arguments.input_size = arguments.num_modules = arguments.module_size = 1;
  arguments.input_type = WINNOW_DTYPE_F16;
  EXPECT_EQ(call(winnow_multiplicative_layer, arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  EXPECT_EQ(winnow_last_error(), std::string("input_type must be f32 or bf16, found type 2"));
  arguments.input_type = WINNOW_DTYPE_F32;
  arguments.weight_type = WINNOW_DTYPE_I8;
  EXPECT_EQ(call(winnow_multiplicative_layer, arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  EXPECT_EQ(winnow_last_error(), std::string("weight_type must be f32, bf16 or f16, found type 3"));
  EXPECT_EQ(output[0], -1.0f);
}

}  // namespace winnow
