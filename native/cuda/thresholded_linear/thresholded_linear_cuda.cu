// output[t, j] = bias[j] + sum_i input[t, i] * weight[i, j] over the inputs larger than a threshold, see
// winnow/thresholded_linear.h.
//
// Layout   row-major, a row of weights per input.
// Grid     x: as many outputs as a warp reads at once; y: token
// Block    kRowSumWarps warps; warp w adds the inputs w, w + kRowSumWarps, ...
// Memory   reads the rows of the large inputs once per token, no other rows. 8 KiB shared.
// Order    as base/row_sums.cuh: the same bits on every run, in every batch.
// Needs    input_size and output_size >= 1, num_tokens below 2^16.
#include <cstdint>

#include "base/row_sums.cuh"
#include "winnow/thresholded_linear.h"

namespace winnow {

namespace {

template <WeightFormat kFormat>
__device__ void multiply(const winnow_thresholded_linear_arguments& arguments) {
  using Weight = typename WeightDecoder<kFormat>::Element;
  const int64_t token = blockIdx.y, size = arguments.output_size;
  const float* input = arguments.input + token * arguments.input_size;
  const auto term = [&](int64_t i, float& factor) {
    factor = input[i];
    return static_cast<const Weight*>(arguments.weight) + i * size;
  };
  const auto is_large = [&](float factor) { return !(fabsf(factor) <= arguments.threshold); };
  sum_rows<kFormat>(term, is_large, arguments.input_size, arguments.bias, arguments.output + token * size, size);
}

}  // namespace

}  // namespace winnow

#define WINNOW_THRESHOLDED_LINEAR_KERNEL(name, weight_format, ...)                       \
  extern "C" __global__ void name(const winnow_thresholded_linear_arguments arguments) { \
    winnow::multiply<winnow::WeightFormat::weight_format>(arguments);                    \
  }
#include "thresholded_linear/thresholded_linear_kernels.inc"
