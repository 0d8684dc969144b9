// output[r, i] = weight[i] * (input[r, i] - mean_r) / sqrt(variance_r + epsilon) + bias[i], see winnow/layer_norm.h;
// Ba, Kiros and Hinton 2016, arXiv:1607.06450, eq. (3) and (4).
//
// Layout   row-major; rows are read and written in pieces of four, as float4 if all addresses are multiples of 16 and
//          hidden_size of 4.
// Grid     x: row.
// Block    a multiple of 32 threads, at most 1024; it depends only on hidden_size, because it determines the order of
//          the sums.
// Memory   reads 20 bytes per element, 8 of them from L1 (three passes over the row: differences from the mean lose
//          nothing to cancellation), writes 4; 512 bytes shared.
// Order    sums in f64: per thread along the row, inside each warp by a butterfly, then warp by warp. No atomics: the
//          same bits on every run.
// Needs    hidden_size >= 1. output may be input itself; bias may be null.
#include <cstdint>

#include "base/row.cuh"
#include "winnow/layer_norm.h"

namespace {

struct Row {
  double mean, scale;

  __device__ float normalised(float input, float weight, float bias) const {
    return static_cast<float>(weight * ((input - mean) * scale) + bias);
  }
};

}  // namespace

extern "C" __global__ void layer_norm_f32(const winnow_layer_norm_arguments arguments) {
  using namespace winnow;
  __shared__ double sums[kWarpSize], squares[kWarpSize];
  const int64_t hidden_size = arguments.hidden_size;
  const float* weight = arguments.weight;
  const float* bias = arguments.bias;
  const float* row = arguments.input + blockIdx.x * hidden_size;
  const bool aligned = rows_aligned(
      address_of(arguments.input) | address_of(weight) | address_of(bias) | address_of(arguments.output), hidden_size);
  const int64_t pieces = (hidden_size + 3) / 4;
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
    const float4 v = load_piece(row, i, hidden_size, aligned);  // 0 behind the end adds nothing
    sum += v.x;
    sum += v.y;
    sum += v.z;
    sum += v.w;
  }
  const double mean = block_sum(sum, sums) / static_cast<double>(hidden_size);
  double square = 0.0;
  for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
    const float4 v = load_piece(row, i, hidden_size, aligned);
    const float values[4] = {v.x, v.y, v.z, v.w};
    for (int e = 0; e < 4; ++e) {
      const double difference = values[e] - mean;
      if (4 * i + e < hidden_size) square += difference * difference;
    }
  }
  const double variance = block_sum(square, squares) / static_cast<double>(hidden_size);
  const Row normal{mean, 1.0 / sqrt(variance + arguments.epsilon)};
  for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
    const float4 v = load_piece(row, i, hidden_size, aligned), w = load_piece(weight, i, hidden_size, aligned);
    const float4 b = bias == nullptr ? make_float4(0, 0, 0, 0) : load_piece(bias, i, hidden_size, aligned);
    store_piece(arguments.output + blockIdx.x * hidden_size, i, hidden_size, aligned,
                make_float4(normal.normalised(v.x, w.x, b.x), normal.normalised(v.y, w.y, b.y),
                            normal.normalised(v.z, w.z, b.z), normal.normalised(v.w, w.w, b.w)));
  }
}
