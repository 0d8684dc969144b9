// Computations by the 32 lanes of a warp. All lanes must call.
#pragma once

#include <cstdint>

#include "base/device_launch.h"

namespace winnow {

constexpr uint32_t kAllLanes = 0xffffffffu;

// The sum, in every lane. A butterfly adds the same pairs in every lane, so all lanes get the same bits.
__device__ __forceinline__ float warp_sum(float value) {
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kAllLanes, value, distance);
  return value;
}

// The maximum, in every lane. NaN is ignored.
__device__ __forceinline__ float warp_max(float value) {
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2)
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  return value;
}

// Sum of the values of this lane and the lanes below.
template <typename T>
__device__ __forceinline__ T warp_inclusive_sum(T value, int lane) {
  for (int distance = 1; distance < kWarpSize; distance *= 2) {
    const T below = __shfl_up_sync(kAllLanes, value, distance);
    if (lane >= distance) value += below;
  }
  return value;
}

}  // namespace winnow
