// Causal attention over a paged key-value cache. java: org.winnow.op.Attention.
//
//   z[t, h, j]      = scale * sum_d query[t, h, d] * key[g, j, d]
//   output[t, h, v] = sum_j w[t, h, j] * value[g, j, v] / (e^(sinks[h] - m) + sum_j w[t, h, j])
//   w[t, h, j]      = e^(z[t, h, j] - m)
//                     over j in (p - sliding_window, p], j >= 0; all j <= p without a window
//   p               = first_position + t
//   g               = floor(h / (num_heads / num_kv_heads))
//
// m is the largest z[t, h, j] of the row, or sinks[h] if that is larger. Without sinks, the term with sinks[h] is
// absent. With a cache of bf16, query and w are rounded to bf16 first, to nearest even, so that instructions for bf16 can
// multiply them. m is then the largest exponent up to the key's block of 64, or of 128 with tiles of amx_bf16. What lies
// in a cache is exact; each product of two bf16 is exact in f32.
//
//   query             [num_tokens, num_heads, key_width] f32
//   key_pages         [number of pages] u64   address of page i, which holds the positions from i * page_size on of
//                                             num_kv_heads heads, key_width wide: elements of type element
//   value_pages       [number of pages] u64   the same for values, value_width wide. In rows they are value_row_stride
//                                             apart. With value_row_stride = key_width, pages of keys can be their own
//                                             values
//   cache_length      [1] i64   a device takes first_position to be *cache_length + position_offset, so that a captured
//                               call can be replayed; the CPU does not look at it: null
//   sinks             [num_heads] f32   null: no sinks
//   output            [num_tokens, num_heads, value_width] f32   overlaps no input
//   first_position    position of the first token at the time of the call
//   position_offset   first_position - *cache_length
//   context_limit     maximum number of positions of the cache; a device sizes its launch by it
//   num_tokens        new tokens
//   num_heads         a multiple of num_kv_heads
//   num_kv_heads      heads of keys and values
//   key_width         elements of a query and of a key
//   value_width       elements of a value
//   value_row_stride  elements between the values of two positions in rows
//   page_size         positions of a page, a multiple of 64
//   sliding_window    maximum number of keys that a token attends to, itself included; 0: no window
//   element           f32, bf16 or f16; the CPU refuses others
//   tiled             whether keys lie in key_tiles and values in value_tiles of kv_layout.h (1) or both in rows (0); 0 on
//                     a device
//   scale             finite
//
// The cache must hold all positions up to first_position + num_tokens - 1. Later positions have no effect, whatever
// they hold.
//
// A NaN among a row's scores makes the row NaN. A score of -infinity has a weight of 0. If a row has no other scores, it
// is 0 with sinks and NaN without.
//
// Order: f32 accumulation. Keys form blocks of 64 at fixed absolute positions, and blocks form splits of 512 keys. An
// online softmax runs over the blocks of a split. Splits are merged in ascending order (the log-sum-exp merge). A row's
// bits therefore depend only on its own query, keys and values: not on other tokens of the call, the number of threads
// or the division of work. Sums of bf16 products add two neighbouring elements of a key, or two neighbouring keys, at once
// on avx512_bf16, and the even and the odd ones of 32 for themselves on amx_bf16. Both take subnormal numbers as 0. Other
// sets widen to f32 and add one product at a time.
// Source: Dao et al. 2022, arXiv:2205.14135, algorithm 1; the merge as in Flash-Decoding; sinks as in Xiao et al. 2023,
// arXiv:2309.17453, with a learned logit in place of a key.
#pragma once

#include "winnow/base/dtype.h"
#include "winnow/base/operation.h"

typedef struct winnow_attention_arguments {
  const float* query;
  const uint64_t* key_pages;
  const uint64_t* value_pages;
  const int64_t* cache_length;
  const float* sinks;
  float* output;
  int64_t first_position;
  int64_t position_offset;
  int64_t context_limit;
  int64_t num_tokens;
  int64_t num_heads;
  int64_t num_kv_heads;
  int64_t key_width;
  int64_t value_width;
  int64_t value_row_stride;
  int64_t page_size;
  int64_t sliding_window;
  winnow_dtype element;
  int32_t tiled;
  float scale;
} winnow_attention_arguments;

WINNOW_C winnow_status winnow_attention(const winnow_attention_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
