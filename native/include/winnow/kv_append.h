// Appends new tokens' rows to one plane of a key-value cache. java: org.winnow.op.KvAppend.
//
//   page element (h, p, c) = source[t, h, c] as element   p = first_position + t
//   for t in [0, num_tokens), h in [0, num_heads), c in [0, width)
//
//   next            another plane of the same call, at most WINNOW_KV_APPEND_MAX_LINKED with this one; its pages are
//                   others; null: none
//   source          [num_tokens, num_heads, width] f32
//   pages           [number of pages] u64   address of page i, which holds the positions from i * page_size on: elements
//                                           of type element, in the order of layout
//   cache_length    [1] i64   a device reads first_position from here, so that a captured call can be replayed; the CPU
//                             ignores it: null
//   first_position  position of the first token: *cache_length
//   num_tokens      tokens
//   num_heads       heads of a page
//   width           columns of a row
//   page_size       positions of a page
//   element         f32, bf16 or f16; the CPU refuses others
//   layout          see kv_layout.h; rows on a device; the CPU refuses unknown ones
//
// Rounds to nearest even. What is too large for the type becomes infinite. Subnormal results are kept. A NaN becomes the
// NaN 0x7fff in bf16 and f16. So both backends write the same bits. Bits of f32 are copied.
//
// The pages of all positions up to first_position + num_tokens - 1 must exist. Other elements of the pages are not
// written, except the partner that key tiles of an odd width have. Pages do not overlap the source.
#pragma once

#include "winnow/base/dtype.h"
#include "winnow/base/kv_layout.h"
#include "winnow/base/operation.h"

#define WINNOW_KV_APPEND_MAX_LINKED 2

typedef struct winnow_kv_append_arguments {
  const struct winnow_kv_append_arguments* next;
  const float* source;
  const uint64_t* pages;
  const int64_t* cache_length;
  int64_t first_position;
  int64_t num_tokens;
  int64_t num_heads;
  int64_t width;
  int64_t page_size;
  winnow_dtype element;
  winnow_kv_layout layout;
} winnow_kv_append_arguments;

WINNOW_C winnow_status winnow_kv_append(const winnow_kv_append_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
