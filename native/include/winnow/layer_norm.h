// Layer normalisation of rows. java: org.winnow.op.LayerNorm.
//
//   output[r, i] = weight[i] * (input[r, i] - mean_r) / sqrt(variance_r + epsilon) + bias[i]
//
//   input        [num_rows, hidden_size] f32
//   weight       [hidden_size] f32
//   bias         [hidden_size] f32   null: 0
//   output       [num_rows, hidden_size] f32   may be input itself
//   num_rows     rows
//   hidden_size  elements of a row
//   epsilon      not negative
//
// Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, eq. (3) and (4), with the biased variance. Sums are accumulated
// in f64.
#pragma once

#include "winnow/base/operation.h"

typedef struct winnow_layer_norm_arguments {
  const float* input;
  const float* weight;
  const float* bias;
  float* output;
  int64_t num_rows;
  int64_t hidden_size;
  float epsilon;
} winnow_layer_norm_arguments;

WINNOW_C winnow_status winnow_layer_norm(const winnow_layer_norm_arguments* arguments, winnow_cpu* cpu,
                                         int64_t* detail);
