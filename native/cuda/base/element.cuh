// Converts elements of f32, bf16 and f16 to f32 and back, for types known at compile time or at run time. The 16-bit
// types are raw bits, because kernels move them far more often than they compute with them.
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

// The type that holds an element of a type with a name.
template <DType>
struct ElementTraits;
template <>
struct ElementTraits<DType::f32> {
  using Type = float;
};
template <>
struct ElementTraits<DType::bf16> {
  using Type = bf16;
};
template <>
struct ElementTraits<DType::f16> {
  using Type = f16;
};
template <DType kType>
using ElementOf = typename ElementTraits<kType>::Type;

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

// Checks a type known at run time. The launch refuses other types; if one gets here, the kernel ends with an error.
__device__ __forceinline__ void require_f32_or_bf16(DType type) {
  if (type != DType::f32 && type != DType::bf16) __trap();
}

// One element of an array whose type require_f32_or_bf16 has accepted.
__device__ __forceinline__ float load_element(const void* array, DType type, int64_t index) {
  return type == DType::f32 ? static_cast<const float*>(array)[index] : to_f32(static_cast<const bf16*>(array)[index]);
}
__device__ __forceinline__ void store_element(void* array, DType type, int64_t index, float value) {
  if (type == DType::f32)
    static_cast<float*>(array)[index] = value;
  else
    static_cast<bf16*>(array)[index] = from_f32<bf16>(value);
}

}  // namespace winnow
