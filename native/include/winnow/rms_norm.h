// Root-mean-square normalisation of rows. java: org.winnow.layer.RmsNorm.
//
//   output[r, i] = weight[i] * input[r, i] / sqrt(mean_i(input[r, i]^2) + epsilon)
//
//   input   [num_rows, row_stride]   f32, the first hidden_size elements of each row are read
//   weight  [hidden_size]            f32
//   output  [num_rows, row_stride]   f32, the first hidden_size elements of each row are written; may be input itself
//
// Source: Zhang and Sennrich 2019, arXiv:1910.07467, eq. (4), with epsilon inside the root. The mean is accumulated in
// f64.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"

namespace winnow {

void rms_norm_cpu(const float* input, const float* weight, float* output, int64_t num_rows, int64_t hidden_size,
                  int64_t row_stride, float epsilon, Cpu* cpu);

}  // namespace winnow
