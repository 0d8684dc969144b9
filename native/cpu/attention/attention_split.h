// Types shared by the driver and the inner loops of attention. Rows are the queries of one kv head: row r is token r /
// group_size and head r % group_size of the group.
#pragma once

#include <cstdint>

#include "base/read_once.h"
#include "winnow/attention.h"

namespace winnow {

constexpr int64_t kKeysPerBlock =
    64;  // K, then V of a block, 32 KiB each at a width of 128, stay in L1 for all rows of a unit
constexpr int64_t kElementsPerPass = 128;  // of wider keys so many elements at a time, for the same reason
constexpr int64_t kKeysPerSplit = 512;  // long contexts are cut here between threads; a merge costs 1/512 of the work
constexpr int64_t kRowsPerUnit = 128;   // what reads a block of keys and values together: 64 measured 5 to 30 % slower

struct AttentionCall : winnow_attention_arguments {
  explicit AttentionCall(const winnow_attention_arguments& arguments)
      : winnow_attention_arguments(arguments), group_size(num_heads / num_kv_heads) {}

  const int64_t group_size;

  int64_t position(int64_t row) const { return first_position + row / group_size; }
  int64_t first_key(int64_t row) const {
    int64_t first = sliding_window > 0 ? position(row) - sliding_window + 1 : 0;
    return first > 0 ? first : 0;
  }
  const float* key(int64_t kv_head, int64_t position) const { return row(key_pages, kv_head, position, key_width); }
  const float* value(int64_t kv_head, int64_t position) const {
    return row(value_pages, kv_head, position, value_row_stride);
  }
  // Null where the page was cleared meanwhile.
  const float* row(const uint64_t* pages, int64_t kv_head, int64_t position, int64_t stride) const {
    const auto* page = reinterpret_cast<const float*>(read_once(pages[position / page_size]));
    return page == nullptr ? nullptr : page + (kv_head * page_size + position % page_size) * stride;
  }
  // Index of a row among all tokens and heads.
  int64_t flat(int64_t kv_head, int64_t row) const {
    return row / group_size * num_heads + kv_head * group_size + row % group_size;
  }
};

// The state of an online softmax. Each row has its largest exponent, its sum of weights and its weighted sum of values
// [value_width].
struct AttentionState {
  float* max;
  float* sum;
  float* values;
};

// The inner loops of one instruction set.
struct AttentionKernels {
  // Computes the softmax over the keys of one split for rows [row_begin, row_begin + num_rows) of a kv head, with
  // num_rows <= kRowsPerUnit. Rows without a key in the split get sum = 0. scratch: kKeysPerBlock * (key_width
  // + num_rows) floats.
  void (*attend)(const AttentionCall& call, int64_t kv_head, int64_t row_begin, int64_t num_rows, int64_t split,
                 AttentionState part, float* scratch);
  // Merges part into total.
  void (*merge)(AttentionState total, AttentionState part, int64_t num_rows, int64_t value_width);
  // output = values / sum
  void (*finish)(const AttentionCall& call, int64_t kv_head, int64_t row_begin, int64_t num_rows, AttentionState total);
};

extern const AttentionKernels kAttentionPortable, kAttentionAvx2, kAttentionAvx512;

}  // namespace winnow
