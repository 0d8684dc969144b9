// output[t, s, m] = bias[s, m] + sum_i input[t, i] * module_weights[i, s] * column_weights[i, m], see
// winnow/multiplicative_layer.h: row_products.cuh with a row per pair of token and module.
//
// multiplicative_layer_<type> (listed in multiplicative_layer_kernels.inc) multiplies. multiplicative_layer_merge adds
// the parts of k, if blocks of their own computed them.
//
// Layout   as the contract's; a warp reads 32 neighbouring modules of one row of module weights.
// Grid     as row_products.cuh has it; merge: x: any number of blocks.
// Block    kRowProductThreads; merge: any.
// Memory   column weights: once per 32 pairs of token and module. Module weights: once per 64 columns of a module.
// Order    that of row_products.cuh. No atomics: the same bits on every run and for any number of tokens.
// Needs    sizes >= 1.
#include "base/row_products.cuh"
#include "winnow/multiplicative_layer.h"

namespace winnow {

namespace {

template <typename Element>
struct ScaledModules {
  const winnow_multiplicative_layer_arguments& a;

  __device__ void stage(RowProductStage& stage, int64_t k_begin, int64_t row_begin) const {
    constexpr int kRowsAtOnce = kRowProductThreads / kRowProductTileRows;
    const int r = threadIdx.x % kRowProductTileRows;
    const int64_t row = row_begin + r, token = row / a.num_modules, module = row % a.num_modules;
#pragma unroll
    for (int k = threadIdx.x / kRowProductTileRows; k < kRowProductDepth; k += kRowsAtOnce) {
      const int64_t i = k_begin + k;
      float value = 0;
      if (token < a.num_tokens && i < a.input_size) {
        const float weight = to_f32(static_cast<const Element*>(a.module_weights)[i * a.num_modules + module]);
        value = load_element(a.input, static_cast<DType>(a.input_type), token * a.input_size + i) * weight;
      }
      stage.left[k][r] = value;
    }
  }

  __device__ float bias(int64_t row, int64_t column) const {
    return a.bias == nullptr ? 0 : a.bias[row % a.num_modules * a.module_size + column];
  }
};

__device__ RowProductShape shape_of(const winnow_multiplicative_layer_arguments& a) {
  return {a.num_tokens * a.num_modules, a.input_size, a.module_size};
}

}  // namespace

}  // namespace winnow

#define WINNOW_MULTIPLICATIVE_LAYER_KERNEL(name, weight_type, ...)                                         \
  extern "C" __global__ void __launch_bounds__(winnow::kRowProductThreads)                                 \
      name(const winnow_multiplicative_layer_arguments arguments, const winnow::RowProductExtras extras) { \
    using Element = winnow::ElementOf<winnow::DType::weight_type>;                                         \
    winnow::require_f32_or_bf16(static_cast<winnow::DType>(arguments.input_type));                         \
    winnow::row_products(winnow::ScaledModules<Element>{arguments},                                        \
                         static_cast<const Element*>(arguments.column_weights), arguments.output,          \
                         winnow::shape_of(arguments), extras.parts);                                       \
  }
#include "multiplicative_layer/multiplicative_layer_kernels.inc"

extern "C" __global__ void multiplicative_layer_merge(const winnow_multiplicative_layer_arguments arguments,
                                                      const winnow::RowProductExtras extras) {
  winnow::merge_row_products(winnow::ScaledModules<float>{arguments}, arguments.output, winnow::shape_of(arguments),
                             extras.parts);
}
