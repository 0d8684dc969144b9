// How a page of a key-value cache holds the rows of its heads. java: org.winnow.op.KvLayout.
//
// Element (h, p, d) of a page, head h, position p of the page, column d of width, lies at this index of the page:
//
//   rows         (h * page_size + p) * width + d
//   key_tiles    ((h * page_size / 64 + p / 64) * ceil(width / pair) + d / pair) * 64 * pair + p % 64 * pair + d % pair
//   value_tiles  (h * page_size + p / pair * pair) * width + d * pair + p % pair
//
// pair is 2 for bf16 and 1 for other elements. In tiles, a vector of neighbouring elements holds a column, or two, of
// many keys, or many columns of a value, or of two. Attention then needs no sum over lanes, and an instruction that
// multiplies pairs of bf16 finds its pairs. Tiles need a page_size that is a multiple of 64. With an odd width the last
// column of key_tiles has a partner that is 0. Only the CPU has tiles; a device has rows.
#pragma once

#include <stdint.h>

typedef int32_t winnow_kv_layout;
enum {
  WINNOW_KV_LAYOUT_ROWS = 0,
  WINNOW_KV_LAYOUT_KEY_TILES = 1,
  WINNOW_KV_LAYOUT_VALUE_TILES = 2,
};
