// Writes columns of new tokens' rows into the pages of a key-value cache. java: org.winnow.op.KvAppend.
//
//   row(h, p)[column + c] = source[t * token_stride + h * head_stride + c]   p = first_position + t
//   for t in [0, num_tokens), h in [0, num_heads), c in [0, width)
//
//   source          f32   address of the first element
//   pages           [number of pages] u64   address of page i: f32 [num_heads, page_size, row_stride], which holds the
//                                           positions from i * page_size on
//   cache_length    [1] i64   a device reads first_position from here, so that a captured call can be replayed; the CPU
//                             ignores it: null
//   token_stride    elements between two tokens of source
//   head_stride     elements between two heads of source; 0 gives every head the same row
//   first_position  position of the first token: *cache_length
//   num_tokens      tokens
//   num_heads       heads of a page
//   page_size       positions of a page
//   row_stride      elements of a row of a page
//   column          first element of a row that is written; column + width <= row_stride
//   width           number of elements copied per row
//
// The pages of all positions up to first_position + num_tokens - 1 must exist. Other elements of the pages are not
// written. Pages do not overlap the source.
#pragma once

#include "winnow/base/operation.h"

typedef struct winnow_kv_append_arguments {
  const float* source;
  const uint64_t* pages;
  const int64_t* cache_length;
  int64_t token_stride;
  int64_t head_stride;
  int64_t first_position;
  int64_t num_tokens;
  int64_t num_heads;
  int64_t page_size;
  int64_t row_stride;
  int64_t column;
  int64_t width;
} winnow_kv_append_arguments;

WINNOW_C winnow_status winnow_kv_append(const winnow_kv_append_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
