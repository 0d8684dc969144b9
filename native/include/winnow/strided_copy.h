// Copies a block of rows between two strided layouts. java: org.winnow.attention.StridedCopy.
//
//   destination[i * destination_outer_stride + j * destination_inner_stride + c] = source[i * source_outer_stride + j
//   * source_inner_stride + c]
//   for i in [0, outer_size), j in [0, inner_size), c in [0, width)
//
//   source, destination  f32; they do not overlap. Strides count elements; a source stride of 0 repeats a row.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"

namespace winnow {

void strided_copy_cpu(const float* source, int64_t source_outer_stride, int64_t source_inner_stride, float* destination,
                      int64_t destination_outer_stride, int64_t destination_inner_stride, int64_t outer_size,
                      int64_t inner_size, int64_t width, Cpu* cpu);

}  // namespace winnow
