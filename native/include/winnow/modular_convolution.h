// Convolution over positions and modules, causal along positions. java: org.winnow.op.ModularConvolution.
//
//   output[t, s, o] = bias[o] + sum_a,c,m x[t - (F - 1) + a, s - G / 2 + c, m] * kernel[a, c, m, o]
//                     for a in [0, F), c in [0, G), with F = length_kernel, G = module_kernel
//
//   x[t] is input[t] for t >= 0, and state[t + F - 1] for t < 0; modules outside [0, num_modules) are 0.
//
//   input          [num_tokens, num_modules, module_size] input_type
//   state          [length_kernel - 1, num_modules, module_size] input_type   what came before the input; null: zeros
//   kernel         [length_kernel, module_kernel, module_size, output_size] weight_type
//   bias           [output_size] f32   null: 0
//   output         [num_tokens, num_modules, output_size] f32   overlaps no input
//   next_state     [length_kernel - 1, num_modules, module_size] input_type   out: the last rows of state and input;
//                                                                             overlaps no input; null: not wanted
//   num_tokens     positions
//   num_modules    modules of a position
//   module_size    elements of a module
//   length_kernel  positions of the kernel, at least 1
//   module_kernel  modules of the kernel, odd
//   output_size    elements of a module of the output
//   input_type     f32 or bf16
//   weight_type    f32, bf16 or f16
//
// All row-major, last dimension contiguous. The kernel is not flipped. WINNOW_INVALID_ARGUMENT for other types; nothing
// has been written then.
//
// Source   Jaszczur et al. 2021, arXiv:2111.12763, section 3.2.
//
// Order    sums of 512 products (128 on a device) are accumulated in f32 in the order of the kernel's elements, and added
//          in order; then the bias. The bits depend on the instruction set. They depend neither on the number of threads
//          nor on how positions are divided into calls.
//
// Memory   the kernel's elements are read once for up to 96 pairs of position and module.
#pragma once

#include "winnow/base/dtype.h"
#include "winnow/base/operation.h"

typedef struct winnow_modular_convolution_arguments {
  const void* input;
  const void* state;
  const void* kernel;
  const float* bias;
  float* output;
  void* next_state;
  int64_t num_tokens;
  int64_t num_modules;
  int64_t module_size;
  int64_t length_kernel;
  int64_t module_kernel;
  int64_t output_size;
  winnow_dtype input_type;
  winnow_dtype weight_type;
} winnow_modular_convolution_arguments;

WINNOW_C winnow_status winnow_modular_convolution(const winnow_modular_convolution_arguments* arguments,
                                                  winnow_cpu* cpu, int64_t* detail);
