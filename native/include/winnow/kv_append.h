// Writes columns of new tokens' rows into the pages of a key-value cache. java: org.winnow.attention.KvAppend.
//
//   page_rows[h, p, column + c] = source[t * token_stride + h * head_stride + c],  p = first_position + t
//   for t in [0, num_tokens), h in [0, num_heads), c in [0, width)
//
//   source   f32; strides count elements, a head stride of 0 gives every head the same row
//   pages    [number of pages] u64   address of page i: f32 [num_heads, page_size, row_stride], positions [i *
//                                    page_size, ...)
//
// The pages of all positions up to first_position + num_tokens - 1 exist; nothing else of them is written. Pages do not
// overlap the source. column + width <= row_stride.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"

namespace winnow {

void kv_append_cpu(const float* source, int64_t token_stride, int64_t head_stride, const uint64_t* pages,
                   int64_t first_position, int64_t num_tokens, int64_t num_heads, int64_t page_size, int64_t row_stride,
                   int64_t column, int64_t width, Cpu* cpu);

}  // namespace winnow
