// The kernels of row_products.h over the vectors of one instruction set.
#pragma once

#include <algorithm>
#include <cstring>

#include "base/row_products.h"

namespace winnow {

// Lanes has V, kLanes, kRegisters, kPanelVectors, and zero, broadcast, load, store, multiply, multiply_add, widen_bf16,
// widen_f16.
template <typename Lanes>
class RowProductTiles {
 public:
  static constexpr RowProductKernels kernels() { return {padded, widen, multiply, scale}; }

 private:
  using V = typename Lanes::V;
  static constexpr int64_t kLanes = Lanes::kLanes;

  static V load(const float* from) { return Lanes::load(from); }
  struct Bf16 {
    uint16_t bits;
  };
  struct F16 {
    uint16_t bits;
  };
  static V load(const Bf16* from) { return Lanes::widen_bf16(&from->bits); }
  static V load(const F16* from) { return Lanes::widen_f16(&from->bits); }

  template <typename Element>
  static V load_part(const Element* from, int64_t count) {
    Element lanes[kLanes] = {};
    std::memcpy(lanes, from, count * sizeof(Element));
    return load(lanes);
  }

  static int64_t padded(int64_t columns) { return (columns + kLanes - 1) / kLanes * kLanes; }

  // Calls body(first column, vectors) for panels of equal width, or one vector less.
  template <typename Body>
  static void for_each_panel(int64_t columns, const Body& body) {
    const int64_t vectors = padded(columns) / kLanes;
    const int64_t panels = (vectors + Lanes::kPanelVectors - 1) / Lanes::kPanelVectors;
    for (int64_t panel = 0, column = 0; panel < panels; ++panel) {
      const int64_t width = (vectors + panels - 1 - panel) / panels;
      body(column, width);
      column += width * kLanes;
    }
  }

  template <typename Element>
  static void widen_elements(const Element* matrix, int64_t stride, int64_t depth, int64_t columns, float* panels) {
    for_each_panel(columns, [&](int64_t column, int64_t width) {
      float* to = panels + column * depth;
      for (int64_t k = 0; k < depth; ++k) {
        const Element* from = matrix + k * stride;
        for (int64_t n = column; n < column + width * kLanes; n += kLanes, to += kLanes) {
          const int64_t left = columns - n;
          Lanes::store(to, left >= kLanes ? load(from + n) : load_part(from + n, left));
        }
      }
    });
  }

  static void widen(const void* matrix, winnow_dtype type, int64_t stride, int64_t depth, int64_t columns,
                    float* panels) {
    if (type == WINNOW_DTYPE_F32) widen_elements(static_cast<const float*>(matrix), stride, depth, columns, panels);
    if (type == WINNOW_DTYPE_BF16) widen_elements(static_cast<const Bf16*>(matrix), stride, depth, columns, panels);
    if (type == WINNOW_DTYPE_F16) widen_elements(static_cast<const F16*>(matrix), stride, depth, columns, panels);
  }

  template <typename Element>
  static void scale_elements(const float* factors, const Element* weights, int64_t weight_stride, int64_t depth,
                             int64_t count, float* left, int64_t left_stride) {
    for (int64_t k = 0; k < depth; ++k, weights += weight_stride, left += left_stride) {
      const V factor = Lanes::broadcast(factors[k]);
      int64_t s = 0;
      for (; s + kLanes <= count; s += kLanes) Lanes::store(left + s, Lanes::multiply(factor, load(weights + s)));
      if (s == count) continue;
      float lanes[kLanes];
      Lanes::store(lanes, Lanes::multiply(factor, load_part(weights + s, count - s)));
      std::memcpy(left + s, lanes, (count - s) * sizeof(float));
    }
  }

  static void scale(const float* factors, const void* weights, winnow_dtype type, int64_t weight_stride, int64_t depth,
                    int64_t count, float* left, int64_t left_stride) {
    if (type == WINNOW_DTYPE_F32)
      scale_elements(factors, static_cast<const float*>(weights), weight_stride, depth, count, left, left_stride);
    if (type == WINNOW_DTYPE_BF16)
      scale_elements(factors, static_cast<const Bf16*>(weights), weight_stride, depth, count, left, left_stride);
    if (type == WINNOW_DTYPE_F16)
      scale_elements(factors, static_cast<const F16*>(weights), weight_stride, depth, count, left, left_stride);
  }

  struct Tile {
    const float* left;
    int64_t left_stride;
    const float* panel;
    int64_t depth;
    float* sums;
    int64_t stride;
    bool first;
  };

  template <int kWidth, int kRows>
  static void multiply_tile(const Tile& t) {
    V sums[kRows][kWidth];
    for (int r = 0; r < kRows; ++r) {
      for (int w = 0; w < kWidth; ++w)
        sums[r][w] = t.first ? Lanes::zero() : Lanes::load(t.sums + r * t.stride + w * kLanes);
    }
    const float* left = t.left;
    const float* panel = t.panel;
    for (int64_t k = 0; k < t.depth; ++k, left += t.left_stride, panel += kWidth * kLanes) {
      V columns[kWidth];
      for (int w = 0; w < kWidth; ++w) columns[w] = Lanes::load(panel + w * kLanes);
      for (int r = 0; r < kRows; ++r) {
        const V factor = Lanes::broadcast(left[r]);
        for (int w = 0; w < kWidth; ++w) sums[r][w] = Lanes::multiply_add(factor, columns[w], sums[r][w]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int w = 0; w < kWidth; ++w) Lanes::store(t.sums + r * t.stride + w * kLanes, sums[r][w]);
    }
  }

  // As many tiles of kRows rows as fit, then smaller ones.
  template <int kWidth, int kRows>
  static void multiply_panel(Tile tile, int64_t rows) {
    for (; rows >= kRows; rows -= kRows) {
      multiply_tile<kWidth, kRows>(tile);
      tile.left += kRows;
      tile.sums += kRows * tile.stride;
    }
    if constexpr (kRows > 1) multiply_panel<kWidth, kRows - 1>(tile, rows);
  }

  // The rows whose sums fit into the registers beside one row of the panel and a factor.
  template <int kWidth>
  static void multiply_panel_of(int64_t width, const Tile& tile, int64_t rows) {
    if (width == kWidth)
      return multiply_panel<kWidth, std::min(8, (Lanes::kRegisters - kWidth - 1) / kWidth)>(tile, rows);
    if constexpr (kWidth > 1) multiply_panel_of<kWidth - 1>(width, tile, rows);
  }

  static void multiply(const float* left, int64_t left_stride, const float* panels, int64_t rows, int64_t depth,
                       int64_t columns, float* sums, bool first) {
    for_each_panel(columns, [&](int64_t column, int64_t width) {
      const Tile tile{left, left_stride, panels + column * depth, depth, sums + column, padded(columns), first};
      multiply_panel_of<Lanes::kPanelVectors>(width, tile, rows);
    });
  }
};

}  // namespace winnow
