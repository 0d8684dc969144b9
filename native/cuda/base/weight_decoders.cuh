// How kernels read weights: one functor per format of winnow/base/weight_formats.inc, used by the dot products and by the
// tiles of the grouped GEMM. A decoder belongs to one row of a matrix.
//
//   Element              what memory holds for one weight; its size is block_bytes, of formats with block_elements = 1
//   Decoder(scale)       for a row of a format with row scales
//   Decoder()            for a row of another format; with row scales, for a row that does not exist: any finite value
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

// Signed bytes times the row's scale, rounded to f32. A byte b becomes the f32 2^23 + 128 + b by inserting it, its sign
// bit flipped, into the significand of 2^23: a permutation and a subtraction, both exact, in place of a conversion of
// integers, for which a multiprocessor has fewer units.
template <>
struct WeightDecoder<WeightFormat::i8_row> {
  using Element = int8_t;

  float scale = 0.0f;

  WeightDecoder() = default;
  __device__ __forceinline__ explicit WeightDecoder(float row_scale) : scale(row_scale) {}

  // Byte kByte of a word of four whose sign bits are flipped.
  template <int kByte>
  __device__ __forceinline__ float scaled(uint32_t flipped) const {
    const uint32_t bits = __byte_perm(flipped, 0x4b000000u, 0x7540 | kByte);
    return __fmul_rn(__uint_as_float(bits) - 8388736.0f, scale);
  }
  __device__ __forceinline__ float4 four(uint32_t word) const {
    const uint32_t flipped = word ^ 0x80808080u;
    return make_float4(scaled<0>(flipped), scaled<1>(flipped), scaled<2>(flipped), scaled<3>(flipped));
  }

  __device__ __forceinline__ float at(int8_t element) const { return __fmul_rn(static_cast<float>(element), scale); }
  __device__ __forceinline__ void vector(float (&values)[16], uint4 bytes) const {
    const uint32_t words[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float4 value = four(words[i]);
      values[4 * i] = value.x, values[4 * i + 1] = value.y, values[4 * i + 2] = value.z, values[4 * i + 3] = value.w;
    }
  }
  __device__ __forceinline__ float4 four(const uint8_t* bytes) const {
    return four(*reinterpret_cast<const uint32_t*>(bytes));
  }
};

}  // namespace winnow
