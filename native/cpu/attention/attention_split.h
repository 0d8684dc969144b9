// Types shared by the driver and the inner loops of attention. Rows are the queries of one kv head: row r is token r /
// group_size and head r % group_size of the group.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/read_once.h"
#include "winnow/attention.h"

namespace winnow {

constexpr int64_t kKeysPerBlock =
    64;  // K, then V of a block, 32 KiB each at a width of 128, stay in L1 for all rows of a unit
constexpr int64_t kUnitsPerPass = 128;  // of wider keys so many units at a time, for the same reason
constexpr int64_t kKeysPerSplit = 512;  // long contexts are cut here between threads; a merge costs 1/512 of the work
constexpr int64_t kRowsPerUnit = 128;   // what reads a block of keys and values together: 64 measured 5 to 30 % slower
constexpr int64_t kMostRows = 256;      // of a unit of any kernels, over all its heads
constexpr int64_t kFewRows = 16;        // up to which several heads go together

struct AttentionCall : winnow_attention_arguments {
  explicit AttentionCall(const winnow_attention_arguments& arguments)
      : winnow_attention_arguments(arguments), group_size(num_heads / num_kv_heads) {}

  const int64_t group_size;
  bool cut = false;  // whether neighbouring splits of a unit may run on different threads

  int64_t position(int64_t row) const { return first_position + row / group_size; }
  int64_t first_key(int64_t row) const {
    int64_t first = sliding_window > 0 ? position(row) - sliding_window + 1 : 0;
    return first > 0 ? first : 0;
  }
  // The width of keys, even where elements are multiplied in pairs.
  int64_t padded_key_width() const { return element == WINNOW_DTYPE_BF16 ? (key_width + 1) / 2 * 2 : key_width; }
  // The first byte of the block of 64 positions that begins at a multiple of 64.
  const char* key(int64_t kv_head, int64_t position) const {
    return block(key_pages, kv_head, position, tiled ? padded_key_width() : key_width);
  }
  const char* value(int64_t kv_head, int64_t position) const {
    return block(value_pages, kv_head, position, tiled ? value_width : value_row_stride);
  }
  // Null where the page was cleared meanwhile.
  const char* block(const uint64_t* pages, int64_t kv_head, int64_t position, int64_t stride) const {
    const auto* page = reinterpret_cast<const char*>(read_once(pages[position / page_size]));
    const int64_t bytes = element == WINNOW_DTYPE_F32 ? 4 : 2;
    return page == nullptr ? nullptr : page + (kv_head * page_size + position % page_size) * stride * bytes;
  }
  // Index of a row among all tokens and heads.
  int64_t flat(int64_t kv_head, int64_t row) const {
    return row / group_size * num_heads + kv_head * group_size + row % group_size;
  }
};

// A block of keys and values as the inner loops read it: a unit is one element, or two that are multiplied at once.
template <typename Unit>
struct AttentionBlock {
  const Unit* keys;    // [units of key_width, 64]: one column of all keys after the other
  const Unit* values;  // [64 / elements of a unit, value_stride]: units of neighbouring keys
  int64_t value_stride;
};

// Memory of one thread.
struct AttentionScratch {
  float* queries;            // [heads, rows, padded_key_width]
  float* keys;               // [padded_key_width, 64]
  float* values;             // [64, max(padded_key_width, value_width)], twice for a cache of bf16
  float* scores;             // [rows, 64]
  bool has_queries = false;  // whether queries still holds those of this unit, from another split

  static int64_t size(const AttentionCall& call, int64_t num_heads, int64_t num_rows) {
    const int64_t width = call.padded_key_width();
    return rounded(num_heads * num_rows * width) + kKeysPerBlock * (width + widest(call) + num_rows);
  }
  static AttentionScratch at(float* memory, const AttentionCall& call, int64_t num_heads, int64_t num_rows) {
    const int64_t width = call.padded_key_width();
    float* keys = memory + rounded(num_heads * num_rows * width);
    float* values = keys + kKeysPerBlock * width;
    return {memory, keys, values, values + kKeysPerBlock * widest(call), false};
  }

 private:
  static int64_t rounded(int64_t size) { return (size + 15) / 16 * 16; }  // to whole lines
  static int64_t widest(const AttentionCall& call) {
    const int64_t width = std::max(call.padded_key_width(), call.value_width);
    return call.element == WINNOW_DTYPE_BF16 ? 4 * width : width;
  }
};

// Rows [row_begin, row_begin + num_rows) of each of some neighbouring kv heads, which meet the keys of one split. Several
// heads go through the positions together: the heads of a page lie side by side, so memory is read in its own order.
struct AttentionTask {
  int64_t head_begin, num_heads, row_begin, num_rows, split;
};

// The state of an online softmax. Each row has its largest exponent, its sum of weights and its weighted sum of values
// [value_width].
struct AttentionState {
  float* max;
  float* sum;
  float* values;
};

// The states of a task's heads, stride floats apart.
struct AttentionStates {
  float* memory;
  int64_t most_rows, stride;

  AttentionState of(int64_t head) const {
    float* state = memory + head * stride;
    return {state, state + most_rows, state + 2 * most_rows};
  }
};

// The inner loops of one instruction set.
struct AttentionKernels {
  // Computes the softmax over a task's keys, with num_rows <= rows_per_unit for one head, or num_rows <= kFewRows and
  // num_heads * num_rows <= kMostRows. Rows without a key in the split get sum = 0.
  void (*attend)(const AttentionCall& call, const AttentionTask& task, const AttentionStates& parts,
                 const AttentionScratch& scratch);
  // Merges part into total.
  void (*merge)(AttentionState total, AttentionState part, int64_t num_rows, int64_t value_width);
  // output = values / sum
  void (*finish)(const AttentionCall& call, int64_t kv_head, int64_t row_begin, int64_t num_rows, AttentionState total);
  int64_t rows_per_unit;
};

// kAttentionPairs and kAttentionTiles: for caches of bf16 on avx512_bf16 and on amx_bf16.
extern const AttentionKernels kAttentionPortable, kAttentionAvx2, kAttentionAvx512, kAttentionPairs, kAttentionTiles;

}  // namespace winnow
