// Root-mean-square normalisation of rows. java: org.winnow.op.RmsNorm.
//
//   input[r, i] += addend[r, i]   if there is an addend
//   output[r, i] = weight[i] * input[r, i] / sqrt(mean_i(input[r, i]^2) + epsilon)
//
//   next         other rows of the same call, at most WINNOW_RMS_NORM_MAX_LINKED with these; they read nothing that these
//                write and the other way round; null: none
//   input        [num_rows, row_stride] f32   the first hidden_size elements of each row are read; with an addend they
//                                              are overwritten with the sum, rounded to f32
//   addend       [num_rows, row_stride] f32   as input; overlaps no other array; null: none
//   weight       [hidden_size] f32
//   output       [num_rows, row_stride] f32   the first hidden_size elements of each row are written; without an addend
//                                              it may be input itself
//   num_rows     rows
//   hidden_size  elements of a row that are normalised
//   row_stride   elements from one row to the next
//   epsilon      not negative
//
// Source: Zhang and Sennrich 2019, arXiv:1910.07467, eq. (4), with epsilon inside the root. The mean is accumulated in
// f64.
#pragma once

#include "winnow/base/operation.h"

#define WINNOW_RMS_NORM_MAX_LINKED 2

typedef struct winnow_rms_norm_arguments {
  const struct winnow_rms_norm_arguments* next;
  float* input;
  const float* addend;
  const float* weight;
  float* output;
  int64_t num_rows;
  int64_t hidden_size;
  int64_t row_stride;
  float epsilon;
} winnow_rms_norm_arguments;

WINNOW_C winnow_status winnow_rms_norm(const winnow_rms_norm_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
