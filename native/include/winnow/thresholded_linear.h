// Linear map that reads only the rows of weights whose input is large. java: org.winnow.op.ThresholdedLinear.
//
//   output[t, j] = bias[j] + sum_i input[t, i] * weight[i, j]   for i with |input[t, i]| > threshold
//
//   input        [num_tokens, input_size] f32
//   weight       [input_size, output_size] weight_format   a row per input
//   bias         [output_size] f32   null: 0
//   output       [num_tokens, output_size] f32   overlaps no input
//   num_tokens     tokens
//   input_size     elements of an input
//   output_size    elements of an output
//   weight_format  f32, bf16 or f16
//   threshold      not negative; 0 loses nothing
//
// Sums are f32. On the CPU in ascending order of i, with fused products where the instruction set has them. A token's
// bits depend neither on the other tokens nor on the number of threads. Rows of weights that no token needs are not
// read. A NaN among the inputs counts as large. WINNOW_INVALID_ARGUMENT for a format that is not named here.
//
// Source: Liu et al. 2024, TEAL, arXiv:2408.14690, section 4.
#pragma once

#include "winnow/base/operation.h"
#include "winnow/base/weight_format.h"

typedef struct winnow_thresholded_linear_arguments {
  const float* input;
  const void* weight;
  const float* bias;
  float* output;
  int64_t num_tokens;
  int64_t input_size;
  int64_t output_size;
  winnow_weight_format weight_format;
  float threshold;
} winnow_thresholded_linear_arguments;

WINNOW_C winnow_status winnow_thresholded_linear(const winnow_thresholded_linear_arguments* arguments, winnow_cpu* cpu,
                                                 int64_t* detail);
