// output[r, i] = weight[i] * input[r, i] / sqrt(mean_i(input[r, i]^2) + epsilon), see winnow/rms_norm.h; Zhang and Sennrich 2019, arXiv:1910.07467, eq. (4).
//
// Layout   rows of row_stride elements, read and written in pieces of four: as float4 while all addresses are multiples of 16 and hidden_size and row_stride
//          of 4 (`aligned`).
// Grid     x: row.
// Block    a multiple of 32 threads, at most 1024; chosen by hidden_size alone, for the order of the sum depends on it.
// Memory   reads 8 bytes per element, the second time from L1, and writes 4; 256 bytes shared.
// Order    squares are added in f64: per thread along the row, inside each warp by a butterfly, then warp by warp. No atomics: the same bits on every run.
// Needs    hidden_size >= 1. output may be input itself.
#include <cstdint>

#include "base/row.cuh"

extern "C" __global__ void rms_norm_f32(const float* input,   // [num_rows, row_stride]
                                        const float* weight,  // [hidden_size]
                                        float* output,        // [num_rows, row_stride]
                                        int64_t hidden_size, int64_t row_stride, float epsilon, int32_t aligned) {
  using namespace winnow;
  __shared__ double parts[kWarpSize];
  const float* row = input + blockIdx.x * row_stride;
  float* target = output + blockIdx.x * row_stride;
  const int64_t pieces = (hidden_size + 3) / 4;
  double squares = 0.0;
  for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
    const float4 v = load_piece(row, i, hidden_size, aligned);
    squares += static_cast<double>(v.x) * v.x;
    squares += static_cast<double>(v.y) * v.y;
    squares += static_cast<double>(v.z) * v.z;
    squares += static_cast<double>(v.w) * v.w;
  }
  const double sum = block_sum(squares, parts);
  const float scale = static_cast<float>(1.0 / sqrt(sum / static_cast<double>(hidden_size) + epsilon));
  for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
    const float4 v = load_piece(row, i, hidden_size, aligned), w = load_piece(weight, i, hidden_size, aligned);
    store_piece(target, i, hidden_size, aligned,
                make_float4(w.x * (v.x * scale), w.y * (v.y * scale), w.z * (v.z * scale), w.w * (v.w * scale)));
  }
}
