// Layer normalisation of rows. java: org.winnow.layer.LayerNorm.
//
//   output[r, i] = weight[i] * (input[r, i] - mean_r) / sqrt(variance_r + epsilon) + bias[i]
//
//   input   [num_rows, hidden_size] f32
//   weight  [hidden_size] f32
//   bias    [hidden_size] f32, or null: 0
//   output  [num_rows, hidden_size] f32; may be input itself
//
// Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, eq. (3) and (4); the variance is the biased one, sums are
// accumulated in f64.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"

namespace winnow {

void layer_norm_cpu(const float* input, const float* weight, const float* bias, float* output, int64_t num_rows,
                    int64_t hidden_size, float epsilon, Cpu* cpu);

}  // namespace winnow
