// How kernels read weights: one functor per format of winnow/base/weight_formats.inc, used by the dot products and by the
// tiles of the grouped GEMM. A decoder belongs to one row of a matrix.
//
//   Element              what memory holds for one weight; its size is block_bytes, of formats with block_elements = 1
//   Decoder(scale)       of a row; formats with row scales have it
//   Decoder()            of a row of formats without; of others, a row that does not exist: any finite value
//   at(element)          the weight
//   vector(values, v)    the weights in 16 bytes, as many as fit
//   four(bytes)          four weights one behind the other, at a multiple of their size
#pragma once

#include <cstdint>

#include "base/element.cuh"
#include "winnow/base/weight_format.h"

namespace winnow {

template <WeightFormat>
struct WeightDecoder;

// Elements that are their own value, widened to f32.
template <typename T>
struct PlainDecoder {
  using Element = T;

  __device__ __forceinline__ float at(T element) const { return to_f32(element); }
  __device__ __forceinline__ void vector(float (&values)[16 / sizeof(T)], uint4 bytes) const {
    unpack(values, bytes, T{});
  }
  __device__ __forceinline__ float4 four(const uint8_t* bytes) const {
    if constexpr (sizeof(T) == 4) {
      return *reinterpret_cast<const float4*>(bytes);
    } else {
      const uint2 pairs = *reinterpret_cast<const uint2*>(bytes);
      const float2 low = unpack(pairs.x, T{});
      const float2 high = unpack(pairs.y, T{});
      return make_float4(low.x, low.y, high.x, high.y);
    }
  }
};

template <>
struct WeightDecoder<WeightFormat::f32> : PlainDecoder<float> {};

template <>
struct WeightDecoder<WeightFormat::bf16> : PlainDecoder<bf16> {};

template <>
struct WeightDecoder<WeightFormat::f16> : PlainDecoder<f16> {};

}  // namespace winnow
