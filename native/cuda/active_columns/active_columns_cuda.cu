// The columns that each token computes, see winnow/active_columns.h: of each block of columns the top_k largest z, or
// all z from a threshold on, in ascending order.
//
// Layout   row-major.
// Grid     x: block of columns, token by token.
// Block    kActiveColumnsThreads threads.
// Memory   reads the logits of its block up to seven times, from L1 or L2 after the first; 1.3 KiB shared.
// Order    the top_k-th largest value is found digit by digit, 8 bits at a time from the highest, with counts of the
//          values that share the digits so far. Equal values are taken by ascending column. Counts are integers, so the
//          order of atomics does not matter. A softmax is summed in f64 per thread, in each warp, then warp by warp.
// Needs    num_tokens * blocks below 2^31; *refused is 0 before the first launch, and again after it was read.
#include <cstdint>

#include "active_columns/active_columns_launch.h"
#include "base/exponential_f64.cuh"
#include "base/order.cuh"
#include "base/row.cuh"
#include "base/warp.cuh"
#include "winnow/active_columns.h"

namespace winnow {

namespace {

constexpr int kThreads = kActiveColumnsThreads, kWarps = kThreads / kWarpSize, kDigits = 256;

struct Columns {
  const float* logits;  // of the block
  const float* bias;    // likewise; null: 0
  int64_t size;

  __device__ float z(int64_t i) const { return bias == nullptr ? logits[i] : logits[i] + bias[i]; }
};

// Of the threads below this one, how many have a flag; and of all. Every thread must call. `parts` has one value per
// warp; a barrier must come before the next call with the same memory.
__device__ int32_t flags_below(bool flag, int32_t* parts, int32_t& all) {
  const uint32_t ballot = __ballot_sync(kAllLanes, flag);
  const int warp = threadIdx.x / kWarpSize;
  if (threadIdx.x % kWarpSize == 0) parts[warp] = __popc(ballot);
  __syncthreads();
  int32_t below = __popc(ballot & ((1u << (threadIdx.x % kWarpSize)) - 1));
  all = 0;
  for (int w = 0; w < kWarps; ++w) {
    if (w < warp) below += parts[w];
    all += parts[w];
  }
  return below;
}

// Which values are chosen: those above `least`, and the first `equal` of those that equal it.
struct Choice {
  uint32_t least;
  int32_t equal;
};

__device__ Choice largest(const Columns& columns, int64_t top_k) {
  __shared__ int32_t counts[kDigits];
  __shared__ uint32_t shared_prefix;
  __shared__ int32_t shared_left;
  uint32_t prefix = 0, mask = 0;
  auto left = static_cast<int32_t>(top_k);
  for (int shift = 24; shift >= 0; shift -= 8) {
    for (int d = threadIdx.x; d < kDigits; d += kThreads) counts[d] = 0;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < columns.size; i += kThreads) {
      const uint32_t key = ordered(columns.z(i));
      if ((key & mask) == prefix) atomicAdd(&counts[key >> shift & (kDigits - 1)], 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int digit = kDigits - 1;
      for (; digit > 0 && counts[digit] < left; --digit) left -= counts[digit];
      shared_prefix = prefix | static_cast<uint32_t>(digit) << shift;
      shared_left = left;
    }
    __syncthreads();
    prefix = shared_prefix;
    left = shared_left;
    mask |= uint32_t{kDigits - 1} << shift;
    __syncthreads();
  }
  return {prefix, left};
}

// The softmax of z over the block: exp(z - shift) / sum.
struct Softmax {
  double shift, sum;

  __device__ float of(float z) const {
    return static_cast<float>(__ddiv_rn(exponential_f64(static_cast<double>(z) - shift), sum));
  }
};

__device__ Softmax softmax_of(const Columns& columns) {
  __shared__ float maxima[kWarps];
  __shared__ double parts[kWarps];
  float most = -INFINITY;
  for (int64_t i = threadIdx.x; i < columns.size; i += kThreads) most = fmaxf(most, columns.z(i));
  most = warp_max(most);
  if (threadIdx.x % kWarpSize == 0) maxima[threadIdx.x / kWarpSize] = most;
  __syncthreads();
  for (int w = 0; w < kWarps; ++w) most = fmaxf(most, maxima[w]);
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < columns.size; i += kThreads)
    sum += exponential_f64(static_cast<double>(columns.z(i)) - most);
  return {most, block_sum(sum, parts)};
}

__device__ bool has_nan(const Columns& columns) {
  bool found = false;
  for (int64_t i = threadIdx.x; i < columns.size; i += kThreads) {
    const float z = columns.z(i);
    found |= z != z;
  }
  return __syncthreads_or(found ? 1 : 0) != 0;
}

// Writes the chosen columns from position `to` on, ascending, and returns their number.
template <bool kTopK>
__device__ int32_t write(const winnow_active_columns_arguments& arguments, const Columns& columns, int64_t first,
                         int64_t to) {
  __shared__ int32_t parts[2][kWarps];
  Choice choice{};
  if (kTopK) choice = largest(columns, arguments.top_k);
  Softmax softmax{};
  if (arguments.column_scales != nullptr) softmax = softmax_of(columns);
  int32_t written = 0, equal_before = 0;
  for (int64_t begin = 0; begin < columns.size; begin += kThreads) {
    const int64_t i = begin + threadIdx.x;
    const float z = i < columns.size ? columns.z(i) : 0.0f;
    bool chosen;
    if (kTopK) {
      const uint32_t key = i < columns.size ? ordered(z) : 0;
      int32_t equal;
      const int32_t below = flags_below(key == choice.least && i < columns.size, parts[0], equal);
      chosen = i < columns.size && (key > choice.least || (key == choice.least && equal_before + below < choice.equal));
      equal_before += equal;
    } else {
      chosen = i < columns.size && z >= arguments.threshold;
    }
    int32_t all;
    const int64_t position = to + written + flags_below(chosen, parts[1], all);
    if (chosen) {
      arguments.active_columns[position] = static_cast<int32_t>(first + i);
      if (arguments.column_scales != nullptr) arguments.column_scales[position] = softmax.of(z);
    }
    written += all;
    __syncthreads();
  }
  return written;
}

template <bool kTopK>
__device__ void choose(const winnow_active_columns_arguments& arguments, int32_t* refused) {
  const int64_t size = kTopK ? arguments.block_size : arguments.num_columns;
  const int64_t blocks = arguments.num_columns / size;
  const int64_t token = blockIdx.x / blocks, block = blockIdx.x % blocks, first = block * size;
  const Columns columns{arguments.logits + token * arguments.num_columns + first,
                        arguments.bias == nullptr ? nullptr : arguments.bias + first, size};
  // A captured step goes on, with columns that exist, until the host notices.
  if (has_nan(columns) && threadIdx.x == 0) atomicMax(refused, static_cast<int32_t>(INT32_MAX - token));
  const int32_t written =
      write<kTopK>(arguments, columns, first, token * arguments.capacity + (kTopK ? block * arguments.top_k : 0));
  if (threadIdx.x == 0 && block == 0)
    arguments.column_counts[token] = kTopK ? static_cast<int32_t>(blocks * arguments.top_k) : written;
}

}  // namespace

}  // namespace winnow

extern "C" __global__ void active_columns_top_k(const winnow_active_columns_arguments arguments,
                                                const winnow::ActiveColumnsExtras extras) {
  winnow::choose<true>(arguments, extras.refused);
}

extern "C" __global__ void active_columns_threshold(const winnow_active_columns_arguments arguments,
                                                    const winnow::ActiveColumnsExtras extras) {
  winnow::choose<false>(arguments, extras.refused);
}
