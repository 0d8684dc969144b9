// Causal attention over a paged key-value cache. java: org.winnow.attention.Attention.
//
//   p = first_position + t,  g = floor(h / (num_heads / num_kv_heads)),  j in (p - sliding_window, p], j >= 0 (all j
//                                                                        <= p without a window)
//   z[t, h, j]      = scale * sum_d query[t, h, d] * key[g, j, d]
//   output[t, h, v] = sum_j e^(z[t, h, j] - m) * value[g, j, v] / (e^(sinks[h] - m) + sum_j e^(z[t, h, j] - m))
//
// with m the largest exponent of the row; without sinks their term is absent.
//
//   query        [num_tokens, num_heads, key_width] f32
//   key_pages    [number of pages] u64   address of page i: f32 [num_kv_heads, page_size, key_width], positions [i *
//                                        page_size, ...)
//   value_pages  [number of pages] u64   address of page i: f32 rows of value_width elements, value_row_stride apart,
//                                        page_size rows
//                                        per kv head. With value_row_stride = key_width a page of keys can serve as
//                                        its own values.
//   sinks        [num_heads] f32, or null
//   output       [num_tokens, num_heads, value_width] f32; overlaps no input
//
// page_size is a multiple of 64; sliding_window 0 means none. num_heads is a multiple of num_kv_heads. Positions up to
// first_position + num_tokens - 1 have been written; nothing behind them is read.
//
// Order: f32 accumulation. Keys are taken in blocks of 64 at fixed absolute positions, blocks in splits of 512 keys; an
// online softmax runs over the blocks of a split, splits are merged in ascending order (the log-sum-exp merge). A row's
// bits therefore depend on its own query, keys and values only: not on the other tokens of the call, the number of
// threads, or how the work was cut.
// Source: Dao et al. 2022, arXiv:2205.14135, algorithm 1; the merge as in Flash-Decoding; sinks as in Xiao et al. 2023,
// arXiv:2309.17453, with a learned logit in place of a key.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"

namespace winnow {

void attention_cpu(const float* query, const uint64_t* key_pages, const uint64_t* value_pages, const float* sinks,
                   float* output, int64_t num_tokens, int64_t first_position, int64_t num_heads, int64_t num_kv_heads,
                   int64_t key_width, int64_t value_width, int64_t value_row_stride, int64_t page_size,
                   int64_t sliding_window, float scale, Cpu* cpu);

}  // namespace winnow
