// Blocks of 64 keys and values as f32, from pages of any element and layout. Pages of f32 in tiles, and values of f32, are
// used where they are.
#pragma once

#include <algorithm>
#include <cstring>

#include "attention_split.h"

namespace winnow {

template <typename Lanes>
struct F32Products {
  using V = typename Lanes::V;
  using Operand = V;
  using Unit = float;
  static constexpr int kPair = 1;
  static constexpr int kLanes = Lanes::kLanes;

  static Operand load(const Unit* p) { return Lanes::load(p); }
  static Operand load_part(const Unit* p, int64_t count) { return Lanes::load_part(p, count); }
  static Operand broadcast(Unit x) { return Lanes::broadcast(x); }
  static V multiply_add(Operand a, Operand b, V c) { return Lanes::multiply_add(a, b, c); }

  // The query as it is multiplied, in scratch if it needs rounding.
  static const Unit* query(const AttentionCall& call, const float* query, float* scratch) {
    if (call.element != WINNOW_DTYPE_BF16) return query;
    for_columns(call.key_width, [&](int64_t c, int64_t count) {
      Lanes::store_part(scratch + c, count, Lanes::round_to_bf16(Lanes::load_part(query + c, count)));
    });
    return scratch;
  }

  static AttentionBlock<Unit> prepare(const AttentionCall& call, const char* keys, const char* values, int64_t count,
                                      const AttentionScratch& scratch) {
    if (call.element == WINNOW_DTYPE_F32) {
      const auto* rows = reinterpret_cast<const float*>(values);
      if (call.tiled) return {reinterpret_cast<const float*>(keys), rows, call.value_width};
      transpose(keys, call.key_width * sizeof(float), call.key_width, count, scratch.keys);
      return {scratch.keys, rows, call.value_row_stride};
    }
    const auto* key = reinterpret_cast<const uint16_t*>(keys);
    const auto* value = reinterpret_cast<const uint16_t*>(values);
    if (!call.tiled) {
      widen_rows(call, key, call.key_width, count, call.key_width, scratch.values);
      transpose(reinterpret_cast<const char*>(scratch.values), call.key_width * sizeof(float), call.key_width, count,
                scratch.keys);
      if (values == keys && call.value_row_stride == call.key_width)
        return {scratch.keys, scratch.values, call.key_width};
      widen_rows(call, value, call.value_row_stride, count, call.value_width, scratch.values);
    } else if (call.element == WINNOW_DTYPE_BF16) {
      widen_pairs(key, (call.key_width + 1) / 2, kKeysPerBlock, scratch.keys);
      widen_pairs(value, (count + 1) / 2, call.value_width, scratch.values);
    } else {
      widen_rows(call, key, kKeysPerBlock, call.key_width, kKeysPerBlock, scratch.keys);
      widen_rows(call, value, call.value_width, count, call.value_width, scratch.values);
    }
    return {scratch.keys, scratch.values, call.value_width};
  }

  // packed[d, j] = 4 bytes at d of row j, for d in [0, width). The last of count rows is repeated to fill a vector.
  static void transpose(const char* rows, int64_t stride_bytes, int64_t width, int64_t count, float* packed) {
    for (int64_t j = 0; j < count; j += kLanes) {
      for (int64_t d = 0; d < width; d += kLanes) {
        const int64_t part = std::min<int64_t>(kLanes, width - d);
        V tile[kLanes];
        for (int i = 0; i < kLanes; ++i) {
          const auto* row = reinterpret_cast<const float*>(rows + std::min(j + i, count - 1) * stride_bytes) + d;
          tile[i] = part == kLanes ? Lanes::load(row) : Lanes::load_part(row, part);
        }
        Lanes::transpose(tile);
        for (int64_t i = 0; i < part; ++i) Lanes::store(packed + (d + i) * kKeysPerBlock + j, tile[i]);
      }
    }
  }

 private:
  // to[row, c] = from[row, c] as f32, rows source_stride and width apart.
  static void widen_rows(const AttentionCall& call, const uint16_t* from, int64_t source_stride, int64_t num_rows,
                         int64_t width, float* to) {
    const bool bf16 = call.element == WINNOW_DTYPE_BF16;
    for (int64_t row = 0; row < num_rows; ++row, from += source_stride, to += width) {
      for_columns(width, [&](int64_t c, int64_t count) {
        const uint16_t* source = from + c;
        uint16_t whole[kLanes];
        if (count < kLanes) {
          std::memset(whole, 0, sizeof(whole));
          std::memcpy(whole, source, count * sizeof(uint16_t));
          source = whole;
        }
        const V v = bf16 ? Lanes::widen_bf16(source) : Lanes::widen_f16(source);
        if (count < kLanes) return Lanes::store_part(to + c, count, v);
        Lanes::store(to + c, v);
      });
    }
  }

  // The low elements of row i of pairs of bf16 become row 2 i, the high ones row 2 i + 1.
  static void widen_pairs(const uint16_t* from, int64_t num_rows, int64_t width, float* to) {
    for (int64_t row = 0; row < num_rows; ++row, from += 2 * width, to += 2 * width) {
      for_columns(width, [&](int64_t c, int64_t count) {
        const auto* pairs = reinterpret_cast<const float*>(from + 2 * c);
        const V pair = count < kLanes ? Lanes::load_part(pairs, count) : Lanes::load(pairs);
        if (count < kLanes) {
          Lanes::store_part(to + c, count, Lanes::low_bf16(pair));
          Lanes::store_part(to + width + c, count, Lanes::high_bf16(pair));
        } else {
          Lanes::store(to + c, Lanes::low_bf16(pair));
          Lanes::store(to + width + c, Lanes::high_bf16(pair));
        }
      });
    }
  }

  template <typename Body>
  static void for_columns(int64_t width, const Body& body) {
    for (int64_t c = 0; c < width; c += kLanes) body(c, std::min<int64_t>(kLanes, width - c));
  }
};

}  // namespace winnow
