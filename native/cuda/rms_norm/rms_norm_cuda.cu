// output[r, i] = weight[i] * input[r, i] / sqrt(mean_i(input[r, i]^2) + epsilon), after input += addend if there is one;
// see winnow/rms_norm.h; Zhang and Sennrich 2019, arXiv:1910.07467, eq. (4).
//
// Layout   rows of row_stride elements are read and written in pieces of four, as float4 if all addresses are multiples
//          of 16 and hidden_size and row_stride of 4.
// Grid     x: row, first of the first struct, then of the second.
// Block    a multiple of 32 threads, at most 1024; it depends only on hidden_size, because it determines the order of
//          the sum.
// Memory   reads 8 bytes per element, the second time from L1, and writes 4; an addend is 4 more to read and 4 to write;
//          256 bytes shared.
// Order    squares are added in f64: per thread along the row, inside each warp by a butterfly, then warp by warp. No
//          atomics: the same bits on every run.
// Needs    hidden_size >= 1. output may be input itself, without an addend.
#include <cstdint>

#include "base/linked.cuh"
#include "base/row.cuh"
#include "winnow/rms_norm.h"

extern "C" __global__ void rms_norm_f32(const winnow_rms_norm_arguments first, const winnow_rms_norm_arguments second,
                                        const int32_t first_blocks) {
  using namespace winnow;
  const Linked<winnow_rms_norm_arguments> own(first, second, first_blocks);
  const auto& arguments = own.arguments;
  __shared__ double parts[kWarpSize];
  const int64_t hidden_size = arguments.hidden_size, row_stride = arguments.row_stride;
  const float* weight = arguments.weight;
  float* row = arguments.input + own.block * row_stride;
  const float* addend = arguments.addend == nullptr ? nullptr : arguments.addend + own.block * row_stride;
  float* target = arguments.output + own.block * row_stride;
  const bool aligned = rows_aligned(
      address_of(arguments.input) | address_of(arguments.addend) | address_of(weight) | address_of(arguments.output),
      hidden_size | row_stride);
  const int64_t pieces = (hidden_size + 3) / 4;
  double squares = 0.0;
  for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
    float4 v = load_piece(row, i, hidden_size, aligned);
    if (addend != nullptr) {
      const float4 w = load_piece(addend, i, hidden_size, aligned);
      v = make_float4(v.x + w.x, v.y + w.y, v.z + w.z, v.w + w.w);
      store_piece(row, i, hidden_size, aligned, v);  // read again by this thread
    }
    squares += static_cast<double>(v.x) * v.x;
    squares += static_cast<double>(v.y) * v.y;
    squares += static_cast<double>(v.z) * v.z;
    squares += static_cast<double>(v.w) * v.w;
  }
  const double sum = block_sum(squares, parts);
  const float scale = static_cast<float>(1.0 / sqrt(sum / static_cast<double>(hidden_size) + arguments.epsilon));
  for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
    const float4 v = load_piece(row, i, hidden_size, aligned), w = load_piece(weight, i, hidden_size, aligned);
    store_piece(target, i, hidden_size, aligned,
                make_float4(w.x * (v.x * scale), w.y * (v.y * scale), w.z * (v.z * scale), w.w * (v.w * scale)));
  }
}
