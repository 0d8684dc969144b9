// Maps floats to unsigned integers in the same order. -0 and +0 map to the same integer. Only NaN may map to 0.
#pragma once

#include <cstdint>

namespace winnow {

__device__ inline uint32_t ordered(float value) {
  const uint32_t bits = __float_as_uint(value == 0 ? 0.0f : value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// The float that became `key`.
__device__ inline float from_ordered(uint32_t key) {
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

}  // namespace winnow
