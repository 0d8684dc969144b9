// What the tiles and the merge of attention share: the arguments of a call, the keys that a row sees, and the arithmetic
// that joins two sets of keys.
#pragma once

#include <cstdint>

#include "attention/attention_launch.h"
#include "base/exponential.cuh"
#include "winnow/attention.h"

namespace winnow {

constexpr float kMinusInfinity = -INFINITY;

// The arguments with sizes in 32 bits. They stay in constant memory and are read where they are used. As members they
// would take registers, and two of the tiles have no registers left.
struct AttentionCall {
  const winnow_attention_arguments& arguments;
  const AttentionExtras& extras;

  __device__ int num_tokens() const { return static_cast<int>(arguments.num_tokens); }
  __device__ int sliding_window() const { return static_cast<int>(arguments.sliding_window); }
  __device__ int num_heads() const { return static_cast<int>(arguments.num_heads); }
  __device__ int num_kv_heads() const { return static_cast<int>(arguments.num_kv_heads); }
  __device__ int key_width() const { return static_cast<int>(arguments.key_width); }
  __device__ int value_width() const { return static_cast<int>(arguments.value_width); }
  __device__ int value_row_stride() const { return static_cast<int>(arguments.value_row_stride); }
  __device__ int page_size() const { return static_cast<int>(arguments.page_size); }
  __device__ int first_position() const {
    return static_cast<int>(*arguments.cache_length + arguments.position_offset);
  }
  __device__ float2* part_softmax() const { return reinterpret_cast<float2*>(extras.part_softmax); }
};

// The keys [begin, end) that a row sees.
struct Keys {
  int begin, end;

  __device__ static Keys of(int position, int sliding_window) {
    const int begin = position + 1 - sliding_window;
    return {sliding_window > 0 && begin > 0 ? begin : 0, position + 1};
  }
  __device__ int first_split() const { return begin / (kKeysPerBlock * kBlocksPerSplit); }
  __device__ int last_split() const { return (end - 1) / (kKeysPerBlock * kBlocksPerSplit); }
};

// The state of an online softmax: largest exponent and sum of weights. It starts without any key.
struct Softmax {
  float max = kMinusInfinity, sum = 0.0f;

  // The state with only the sink, if there is one.
  __device__ static Softmax of_sink(const float* sinks, int head) {
    Softmax result;
    if (sinks != nullptr) result = {sinks[head], 1.0f};
    return result;
  }
  // Exponents are relative to this value: the maximum, or 0 for rows that contain only -infinity.
  __device__ static float shift(float max) { return max == kMinusInfinity ? 0.0f : max; }

  // Adds the keys of `part`. The caller must multiply the old values by x and those of the part by y.
  __device__ float2 merge(Softmax part) {
    const float larger = fmaxf(max, part.max), base = shift(larger);
    const float keep = exponential(max - base), join = exponential(part.max - base);
    max = larger;
    sum = __fmaf_rn(sum, keep, __fmul_rn(part.sum, join));
    return make_float2(keep, join);
  }
};

__device__ __forceinline__ float4 scaled(float4 v, float factor) {
  return make_float4(__fmul_rn(v.x, factor), __fmul_rn(v.y, factor), __fmul_rn(v.z, factor), __fmul_rn(v.w, factor));
}

__device__ __forceinline__ float4 multiply_add(float4 v, float factor, float4 addend) {
  return make_float4(__fmaf_rn(v.x, factor, addend.x), __fmaf_rn(v.y, factor, addend.y),
                     __fmaf_rn(v.z, factor, addend.z), __fmaf_rn(v.w, factor, addend.w));
}

__device__ __forceinline__ float4 divided(float4 v, float divisor) {
  return make_float4(__fdiv_rn(v.x, divisor), __fdiv_rn(v.y, divisor), __fdiv_rn(v.z, divisor),
                     __fdiv_rn(v.w, divisor));
}

}  // namespace winnow
