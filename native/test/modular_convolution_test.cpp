#include "winnow/modular_convolution.h"

#include <string>

#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

namespace {

// All elements are 1: an output is the number of elements that the kernel covers, and the bias.
template <typename Weight>
void stays_inside(winnow_dtype weight_type, Weight one, winnow_instruction_set set, int64_t length, int64_t modules,
                  int64_t length_kernel, int64_t module_kernel, int64_t size, int64_t output_size) {
  const OwnedCpu cpu = open_cpu(3, set);
  GuardedBuffer<uint16_t> input(length * modules * size, 2), state((length_kernel - 1) * modules * size, 2),
      next((length_kernel - 1) * modules * size, 2);
  GuardedBuffer<Weight> kernel(length_kernel * module_kernel * size * output_size, sizeof(Weight));
  GuardedBuffer<float> bias(output_size, 4), output(length * modules * output_size, 4);
  for (int64_t i = 0; i < input.size(); ++i) input[i] = 0x3f80;  // 1
  for (int64_t i = 0; i < state.size(); ++i) state[i] = 0x3f80;
  for (int64_t i = 0; i < kernel.size(); ++i) kernel[i] = one;
  for (int64_t i = 0; i < output_size; ++i) bias[i] = 2;
  winnow_modular_convolution_arguments arguments{};
  arguments.input = input.data();
  arguments.kernel = kernel.data();
  arguments.bias = bias.data();
  arguments.output = output.data();
  arguments.num_tokens = length;
  arguments.num_modules = modules;
  arguments.module_size = size;
  arguments.length_kernel = length_kernel;
  arguments.module_kernel = module_kernel;
  arguments.output_size = output_size;
  arguments.input_type = WINNOW_DTYPE_BF16;
  arguments.weight_type = weight_type;
  for (const bool with_state : {false, true}) {
    arguments.state = with_state ? state.data() : nullptr;
    arguments.next_state = with_state ? next.data() : nullptr;
    ASSERT_EQ(call(winnow_modular_convolution, arguments, cpu), kDone);
    for (int64_t i = 0; i < output.size(); ++i) {
      const int64_t t = i / output_size / modules, s = i / output_size % modules;
      int64_t covered = 0;
      for (int64_t c = 0; c < module_kernel; ++c) {
        const int64_t at = s - module_kernel / 2 + c;
        if (at >= 0 && at < modules) covered += with_state ? length_kernel : std::min(length_kernel, t + 1);
      }
      ASSERT_EQ(output[i], static_cast<float>(covered * size + 2));
    }
    input.expect_guards_intact();
    kernel.expect_guards_intact();
    output.expect_guards_intact();
    next.expect_guards_intact();
  }
  for (int64_t i = 0; i < next.size(); ++i) ASSERT_EQ(next[i], 0x3f80);
}

}  // namespace

TEST(ModularConvolution, StaysInsideItsBuffers) {
  struct Sizes {
    int64_t length, modules, length_kernel, module_kernel, size, output_size;
  };
  for (winnow_instruction_set set :
       {WINNOW_INSTRUCTION_SET_PORTABLE, WINNOW_INSTRUCTION_SET_AVX2, WINNOW_INSTRUCTION_SET_AVX512}) {
    if (!winnow_cpu_supports(set)) continue;
    for (Sizes s : {Sizes{1, 1, 1, 1, 1, 1}, Sizes{5, 4, 3, 3, 7, 9}, Sizes{1, 6, 3, 1, 64, 64},
                    Sizes{2, 3, 4, 5, 33, 300}, Sizes{9, 1, 2, 3, 5, 17}}) {
      stays_inside<float>(WINNOW_DTYPE_F32, 1, set, s.length, s.modules, s.length_kernel, s.module_kernel, s.size,
                          s.output_size);
      stays_inside<uint16_t>(WINNOW_DTYPE_BF16, 0x3f80, set, s.length, s.modules, s.length_kernel, s.module_kernel,
                             s.size, s.output_size);
      stays_inside<uint16_t>(WINNOW_DTYPE_F16, 0x3c00, set, s.length, s.modules, s.length_kernel, s.module_kernel,
                             s.size, s.output_size);
    }
  }
}

TEST(ModularConvolution, RefusesOtherTypes) {
  const OwnedCpu cpu = open_cpu(1);
  float one = 1, output = 0;
  winnow_modular_convolution_arguments arguments{};
  arguments.input = arguments.kernel = &one;
  arguments.output = &output;
  arguments.num_tokens = arguments.num_modules = arguments.module_size = arguments.length_kernel =
      arguments.module_kernel = arguments.output_size = 1;
  arguments.weight_type = WINNOW_DTYPE_I8;
  EXPECT_EQ(call(winnow_modular_convolution, arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  arguments.weight_type = WINNOW_DTYPE_F32;
  arguments.input_type = WINNOW_DTYPE_F16;
  EXPECT_EQ(call(winnow_modular_convolution, arguments, cpu), (Ended{WINNOW_INVALID_ARGUMENT, 0}));
  EXPECT_EQ(output, 0);
}

}  // namespace winnow
