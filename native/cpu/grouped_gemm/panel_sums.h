// What the kernels over panels share: which panels a tile multiplies at once, and how sums become outputs.
#pragma once

#include <algorithm>

#include "grouped_gemm_kernel.h"
#include "winnow/base/weight_layout.h"

namespace winnow {

namespace {

constexpr int kPanelRows = WINNOW_PANEL_ROWS;
constexpr int kMaxPanels = 4;                                  // that a tile multiplies at once
constexpr int64_t kPanelSumsStride = kMaxPanels * kPanelRows;  // floats of a row of sums

// The panels that a tile multiplies at once: of the weights, then as many of up_weights if the product is gated.
template <typename Element>
struct PanelGroup {
  const Element* panels[kMaxPanels];
  int64_t rows[kMaxPanels];  // of weights in each
  int num_panels;
  int64_t column, num_columns;  // of the output

  // The next panels of a block, at most most_panels.
  PanelGroup(const GroupedGemmBlock& block, int64_t first_column, int most_panels) : column(first_column) {
    const int parts = block.gated() ? 2 : 1;
    const int64_t left = block.column_end - column, most = most_panels / parts * kPanelRows;
    num_columns = left < most ? left : most;
    num_panels = 0;
    for (int part = 0; part < parts; ++part) {
      const auto* matrix = static_cast<const Element*>(part == 0 ? block.weight(0) : block.up_weight(0));
      for (int64_t c = column; c < column + num_columns; c += kPanelRows, ++num_panels) {
        const int64_t in_matrix = block.product.output_size - c;
        panels[num_panels] = matrix + c * block.product.input_size;
        rows[num_panels] = in_matrix < kPanelRows ? in_matrix : kPanelRows;
      }
    }
  }

  // Whether all panels have kPanelRows rows.
  bool whole() const {
    for (int i = 0; i < num_panels; ++i) {
      if (rows[i] < kPanelRows) return false;
    }
    return true;
  }
};

// Elements [k, k + size) of a panel's rows, as a panel of kPanelRows rows and padded_size elements, filled up with zeros. k
// and padded_size are multiples of kGroup.
template <int kGroup, typename Element>
void copy_padded_panel(const Element* panel, int64_t rows, int64_t k, int64_t size, int64_t padded_size, Element* to) {
  std::memset(to, 0, padded_size * kPanelRows * sizeof(Element));
  for (int64_t g = 0; g * kGroup < size; ++g) {
    const int64_t group = size - g * kGroup < kGroup ? size - g * kGroup : kGroup;
    for (int64_t n = 0; n < rows; ++n) {
      for (int64_t i = 0; i < group; ++i)
        to[(g * kPanelRows + n) * kGroup + i] = panel[(k + g * kGroup) * rows + n * group + i];
    }
  }
}

template <Activation kActivation>
void finish_panels(const GroupedGemmBlock& block, float* sums, int64_t column, int64_t columns) {
  const int64_t num_rows = block.row_end - block.row_begin;
  const int64_t lanes = (columns + kPanelRows - 1) / kPanelRows * kPanelRows;
  const bool gated = block.gated();
  const float* bias = block.bias() == nullptr ? nullptr : block.bias() + column;
  const float* up_bias = block.up_bias() == nullptr ? nullptr : block.up_bias() + column;
  for (int64_t r = 0; r < num_rows; ++r) {
    float* __restrict gate = sums + r * kPanelSumsStride;
    float* __restrict up = gate + lanes;
    add_bias(gate, bias, columns);
    if (gated) {
      add_bias(up, up_bias, columns);
      for (int64_t i = 0; i < lanes; ++i) gate[i] = activate<kActivation>(gate[i], up[i]);
    } else if (kActivation != Activation::none) {
      for (int64_t i = 0; i < lanes; ++i) gate[i] = activate<kActivation>(gate[i]);
    }
    const int64_t at = (block.row_begin + r) * block.product.output_size + column;
    if (block.product.output_type == WINNOW_DTYPE_BF16) {
      auto* __restrict to = static_cast<uint16_t*>(block.product.output) + at;
      for (int64_t i = 0; i < columns; ++i) to[i] = to_bf16(gate[i]);
    } else {
      std::memcpy(static_cast<float*>(block.product.output) + at, gate, columns * sizeof(float));
    }
  }
}

// Biases, activation, rounding: from the sums of columns [column, column + columns) to the output. Row r has its sums
// from r * kPanelSumsStride on, panel after panel, then those of up. They are overwritten.
inline void finish_panels(const GroupedGemmBlock& block, float* sums, int64_t column, int64_t columns) {
  switch (static_cast<Activation>(block.product.activation)) {
    case Activation::none:
      return finish_panels<Activation::none>(block, sums, column, columns);
    case Activation::silu:
      return finish_panels<Activation::silu>(block, sums, column, columns);
    case Activation::gelu_erf:
      return finish_panels<Activation::gelu_erf>(block, sums, column, columns);
    case Activation::gelu_tanh:
      return finish_panels<Activation::gelu_tanh>(block, sums, column, columns);
    case Activation::relu:
      return finish_panels<Activation::relu>(block, sums, column, columns);
    case Activation::clamped_swiglu:
      return finish_panels<Activation::clamped_swiglu>(block, sums, column, columns);
    case Activation::relu_squared:
      return finish_panels<Activation::relu_squared>(block, sums, column, columns);
    case Activation::drelu:
      return finish_panels<Activation::drelu>(block, sums, column, columns);
  }
}

}  // namespace

}  // namespace winnow
