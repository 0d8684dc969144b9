// output[t, s, o] = bias[o] + sum over what the kernel covers, see winnow/modular_convolution.h: row_products.cuh with a
// row per pair of position and module, whose elements are gathered.
//
// modular_convolution_<type> (listed in modular_convolution_kernels.inc) multiplies. modular_convolution_merge adds the
// parts of k, if blocks of their own computed them. modular_convolution_state keeps the last rows for the next call.
//
// Layout   as the contract's.
// Grid     as row_products.cuh has it; merge and state: x: any number of blocks.
// Block    kRowProductThreads; merge and state: any.
// Memory   the kernel's elements: once per 32 pairs of position and module. Inputs: once per element that covers them
//          and 64 columns, from L1 or L2 after the first.
// Order    that of row_products.cuh. No atomics: the same bits on every run and for any division into calls.
// Needs    sizes >= 1; module_kernel odd.
#include "base/row_products.cuh"
#include "winnow/modular_convolution.h"

namespace winnow {

namespace {

struct Covered {
  const winnow_modular_convolution_arguments& a;

  // Element k of row (token, module).
  __device__ float at(int64_t token, int64_t module, int64_t k) const {
    const int64_t element = k % a.module_size, covered = k / a.module_size;
    const int64_t position = token - (a.length_kernel - 1) + covered / a.module_kernel;
    const int64_t other = module - a.module_kernel / 2 + covered % a.module_kernel;
    const void* rows = position >= 0 ? a.input : a.state;
    if (other < 0 || other >= a.num_modules || rows == nullptr) return 0;
    const int64_t row = position >= 0 ? position : position + a.length_kernel - 1;
    return load_element(rows, static_cast<DType>(a.input_type),
                        (row * a.num_modules + other) * a.module_size + element);
  }

  __device__ void stage(RowProductStage& stage, int64_t k_begin, int64_t row_begin) const {
    constexpr int kRowsAtOnce = kRowProductThreads / kRowProductTileRows;
    const int r = threadIdx.x % kRowProductTileRows;
    const int64_t row = row_begin + r, token = row / a.num_modules, module = row % a.num_modules;
    const int64_t depth = a.length_kernel * a.module_kernel * a.module_size;
#pragma unroll 1
    for (int k = threadIdx.x / kRowProductTileRows; k < kRowProductDepth; k += kRowsAtOnce)
      stage.left[k][r] = token < a.num_tokens && k_begin + k < depth ? at(token, module, k_begin + k) : 0.0f;
  }

  __device__ float bias(int64_t, int64_t column) const { return a.bias == nullptr ? 0 : a.bias[column]; }
};

__device__ RowProductShape shape_of(const winnow_modular_convolution_arguments& a) {
  return {a.num_tokens * a.num_modules, a.length_kernel * a.module_kernel * a.module_size, a.output_size};
}

template <typename Element>
__device__ void keep_state(const winnow_modular_convolution_arguments& a) {
  const int64_t row_size = a.num_modules * a.module_size, size = (a.length_kernel - 1) * row_size;
  const int64_t shift = a.num_tokens * row_size;  // of the rows of state and input, one behind the other
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < size; i += int64_t{gridDim.x} * blockDim.x) {
    const int64_t from = i + shift;
    Element value{};
    if (from >= size) {
      value = static_cast<const Element*>(a.input)[from - size];
    } else if (a.state != nullptr) {
      value = static_cast<const Element*>(a.state)[from];
    }
    static_cast<Element*>(a.next_state)[i] = value;
  }
}

}  // namespace

}  // namespace winnow

#define WINNOW_MODULAR_CONVOLUTION_KERNEL(name, weight_type, ...)                                                     \
  extern "C" __global__ void __launch_bounds__(winnow::kRowProductThreads)                                            \
      name(const winnow_modular_convolution_arguments arguments, const winnow::RowProductExtras extras) {             \
    using Element = winnow::ElementOf<winnow::DType::weight_type>;                                                    \
    winnow::require_f32_or_bf16(static_cast<winnow::DType>(arguments.input_type));                                    \
    winnow::row_products(winnow::Covered{arguments}, static_cast<const Element*>(arguments.kernel), arguments.output, \
                         winnow::shape_of(arguments), extras.parts);                                                  \
  }
#include "modular_convolution/modular_convolution_kernels.inc"

extern "C" __global__ void modular_convolution_merge(const winnow_modular_convolution_arguments arguments,
                                                     const winnow::RowProductExtras extras) {
  winnow::merge_row_products(winnow::Covered{arguments}, arguments.output, winnow::shape_of(arguments), extras.parts);
}

extern "C" __global__ void modular_convolution_state(const winnow_modular_convolution_arguments arguments) {
  if (static_cast<winnow::DType>(arguments.input_type) == winnow::DType::f32)
    winnow::keep_state<float>(arguments);
  else
    winnow::keep_state<winnow::bf16>(arguments);
}
