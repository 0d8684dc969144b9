// Elements of f32, bf16 and f16 as f32 values and back, for types known at compile time and at run time. The 16-bit types are raw bits here: kernels move
// them far more often than they compute with them.
#pragma once

#include <cstdint>

#include "winnow/base/dtype.h"

namespace winnow {

struct bf16 {
  uint16_t bits;
};

struct f16 {
  uint16_t bits;
};

__device__ __forceinline__ float to_f32(float value) { return value; }
__device__ __forceinline__ float to_f32(bf16 value) { return __uint_as_float(uint32_t{value.bits} << 16); }
__device__ __forceinline__ float to_f32(f16 value) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
}

// Nearest even; NaN stays NaN.
template <typename T>
__device__ __forceinline__ T from_f32(float value);
template <>
__device__ __forceinline__ float from_f32<float>(float value) {
  return value;
}
template <>
__device__ __forceinline__ bf16 from_f32<bf16>(float value) {
  bf16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
}
template <>
__device__ __forceinline__ f16 from_f32<f16>(float value) {
  f16 result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
}

// Two bf16 in one register, the first in the lower half: rounded to nearest even.
__device__ __forceinline__ uint32_t pack_bf16(float first, float second) {
  uint32_t result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(second), "f"(first));
  return result;
}

// Both elements of a register that holds two.
__device__ __forceinline__ float2 unpack_bf16(uint32_t pair) {
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}
__device__ __forceinline__ float2 unpack_f16(uint32_t pair) {
  return make_float2(to_f32(f16{static_cast<uint16_t>(pair)}), to_f32(f16{static_cast<uint16_t>(pair >> 16)}));
}

// The same for a type known at compile time, and 16 bytes as 8 or 4 values.
__device__ __forceinline__ float2 unpack(uint32_t pair, bf16) { return unpack_bf16(pair); }
__device__ __forceinline__ float2 unpack(uint32_t pair, f16) { return unpack_f16(pair); }
template <typename T>
__device__ __forceinline__ void unpack(float* values, uint4 vector, T type) {
  const uint32_t words[4] = {vector.x, vector.y, vector.z, vector.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = unpack(words[i], type);
    values[2 * i] = pair.x;
    values[2 * i + 1] = pair.y;
  }
}
__device__ __forceinline__ void unpack(float* values, uint4 vector, float) {
  values[0] = __uint_as_float(vector.x), values[1] = __uint_as_float(vector.y);
  values[2] = __uint_as_float(vector.z), values[3] = __uint_as_float(vector.w);
}

// One element of an array whose type is known at run time: f32, bf16 or f16.
__device__ __forceinline__ float load_element(const void* array, DType type, int64_t index) {
  if (type == DType::f32) return static_cast<const float*>(array)[index];
  if (type == DType::bf16) return to_f32(static_cast<const bf16*>(array)[index]);
  return to_f32(static_cast<const f16*>(array)[index]);
}
__device__ __forceinline__ void store_element(void* array, DType type, int64_t index, float value) {
  if (type == DType::f32)
    static_cast<float*>(array)[index] = value;
  else if (type == DType::bf16)
    static_cast<bf16*>(array)[index] = from_f32<bf16>(value);
  else
    static_cast<f16*>(array)[index] = from_f32<f16>(value);
}

}  // namespace winnow
