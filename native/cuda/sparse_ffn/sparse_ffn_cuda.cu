// The active columns of a feed-forward block, see winnow/sparse_ffn.h, in two launches: the hidden values of every
// token's columns, then the outputs.
//
// Layout   a record holds the rows w1, w3 if gated, w2 one behind the other. Rows are read 16 bytes per thread where all
//          rows and their blocks are aligned to 16 bytes, else element by element.
// Grid     hidden  x: kSparseFfnHiddenWarps columns of a list, one per warp; y: token
//          output  x: as many outputs as a warp reads at once; y: token
// Block    hidden  kSparseFfnHiddenWarps warps
//          output  kRowSumWarps warps; warp w adds the columns w, w + warps, ... of the list
// Memory   reads w1, w3 and w2 of each active column once per token; weights of other columns are not read. 8 KiB
//          shared (output).
// Order    hidden: per lane along the row, then a butterfly. output: per warp in ascending order, then warp by warp, the
//          bias first. No atomics: the same bits on every run and in every batch.
// Needs    hidden_size >= 1, num_tokens below 2^16. Lists are trusted.
#include <cstdint>

#include "base/activation.cuh"
#include "base/element.cuh"
#include "base/row.cuh"
#include "base/row_sums.cuh"
#include "base/warp.cuh"
#include "base/weight_decoders.cuh"
#include "sparse_ffn/sparse_ffn_launch.h"
#include "winnow/sparse_ffn.h"

namespace winnow {

namespace {

template <WeightFormat kFormat>
struct Rows {
  using Decoder = WeightDecoder<kFormat>;
  using Weight = typename Decoder::Element;
  static constexpr int kVector = kRowVectorBytes / int{sizeof(Weight)};

  const winnow_sparse_ffn_arguments& arguments;

  // Row 0, 1 or 2 of a column's record.
  __device__ const Weight* row(int64_t column, int index) const {
    const int64_t rows = arguments.gated != 0 ? 3 : 2;
    const auto* block = reinterpret_cast<const Weight*>(arguments.blocks[column / arguments.block_columns]);
    return block + (column % arguments.block_columns * rows + index) * arguments.hidden_size;
  }
};

template <typename Rows, typename Input>
__device__ float dot(const typename Rows::Weight* row, const Input* input, int64_t size) {
  const int lane = threadIdx.x % kWarpSize;
  const typename Rows::Decoder decoder;
  float sum = 0.0f;
  if (row_aligned(row, size)) {
    for (int64_t k = lane * Rows::kVector; k < size; k += kWarpSize * Rows::kVector) {
      float values[Rows::kVector];
      decoder.vector(values, *reinterpret_cast<const uint4*>(row + k));
#pragma unroll
      for (int i = 0; i < Rows::kVector; ++i) sum = fmaf(values[i], to_f32(input[k + i]), sum);
    }
  } else {
    for (int64_t k = lane; k < size; k += kWarpSize) sum = fmaf(decoder.at(row[k]), to_f32(input[k]), sum);
  }
  return warp_sum(sum);
}

template <WeightFormat kFormat, typename Input>
__device__ void hidden(const winnow_sparse_ffn_arguments& arguments) {
  const Rows<kFormat> rows{arguments};
  const int64_t token = blockIdx.y;
  const int64_t p = int64_t{blockIdx.x} * kSparseFfnHiddenWarps + threadIdx.x / kWarpSize;
  const bool lists = arguments.column_counts != nullptr;
  if (p >= (lists ? arguments.column_counts[token] : arguments.intermediate_size)) return;
  const int64_t position = token * arguments.capacity + p, column = lists ? arguments.active_columns[position] : p;
  const Input* input = static_cast<const Input*>(arguments.input) + token * arguments.hidden_size;
  const auto activation = static_cast<Activation>(arguments.activation);
  const float bias = arguments.gate_bias == nullptr ? 0.0f : arguments.gate_bias[column];
  const float gate = dot<Rows<kFormat>>(rows.row(column, 0), input, arguments.hidden_size) + bias;
  float value = activate(activation, gate);  // the same in all lanes
  if (!lists && fabsf(value) <= arguments.threshold) {
    value = 0.0f;
  } else if (arguments.gated != 0) {
    value = activate(activation, gate, dot<Rows<kFormat>>(rows.row(column, 1), input, arguments.hidden_size));
  }
  if (arguments.column_scales != nullptr) value *= arguments.column_scales[position];
  if (threadIdx.x % kWarpSize == 0) arguments.hidden_values[position] = value;
}

template <WeightFormat kFormat>
__device__ void output(const winnow_sparse_ffn_arguments& arguments) {
  const Rows<kFormat> rows{arguments};
  const int64_t token = blockIdx.y, size = arguments.hidden_size;
  const int down = arguments.gated != 0 ? 2 : 1;
  const bool lists = arguments.column_counts != nullptr;
  const auto term = [&](int64_t p, float& factor) {
    const int64_t position = token * arguments.capacity + p, column = lists ? arguments.active_columns[position] : p;
    factor = arguments.hidden_values[position];
    if (arguments.mean_activation != nullptr) factor -= arguments.mean_activation[column];
    return rows.row(column, down);
  };
  const auto is_needed = [](float factor) { return factor != 0; };
  sum_rows<kFormat>(term, is_needed, lists ? arguments.column_counts[token] : arguments.intermediate_size,
                    arguments.output_bias, arguments.output + token * size, size);
}

// Which part a kernel computes.
template <typename Input, WeightFormat kFormat>
struct Part {
  __device__ static void hidden(const winnow_sparse_ffn_arguments& a) { winnow::hidden<kFormat, Input>(a); }
  __device__ static void output(const winnow_sparse_ffn_arguments& a) { winnow::output<kFormat>(a); }
};

}  // namespace

}  // namespace winnow

#define WINNOW_SPARSE_FFN_KERNEL(name, part, input_type, weight_format, ...)                                          \
  extern "C" __global__ void name(const winnow_sparse_ffn_arguments arguments) {                                      \
    winnow::Part<winnow::ElementOf<winnow::DType::input_type>, winnow::WeightFormat::weight_format>::part(arguments); \
  }
#include "sparse_ffn/sparse_ffn_kernels.inc"
