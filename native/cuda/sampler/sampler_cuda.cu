// Chooses the next token: winnow/sampler.h. sampler_penalise (only if tokens were seen) makes the logits that the others
// read, sampler_survey finds the best one, sampler_weigh (not at temperature 0) turns logits into integer weights,
// sampler_choose finds the token.
//
// Each logit has a unique 64-bit key, [its order as a float : 32][2^32 - 1 - index : 32]; larger keys come first. top_k
// and top_p keep all keys from some cutoff on. The cutoff is found digit by digit (8 bits), from histograms of the keys
// that share the digits found so far. min_p is a bound on the weights themselves.
//
// Grid     penalise: x: a slice of the logits. survey, weigh: x: blocks that stride over the logits, at most 1024.
//          choose: one block, because after the exponentials only a few passes over 12 bytes per logit in L2 remain.
// Block    penalise, survey, weigh: kSurveyThreads; choose: kChooseThreads.
// Memory   penalise copies 4 bytes per logit, and each of its blocks reads all of seen; survey reads 4 bytes per logit,
//          weigh reads 4 and writes 8, choose reads 12 in each of up to 7 passes per limit and 3 more.
// Order    weights and sums are integers and exact, so the order of additions and atomics does not matter. Every run
//          gives the CPU's token.
// Needs    1 <= vocabulary_size < 2^31.
#include <cstdint>

#include "base/exponential_f64.cuh"
#include "base/order.cuh"
#include "base/warp.cuh"
#include "sampler/sampler_launch.h"
#include "winnow/sampler.h"

namespace winnow {

namespace {

struct Sampler : winnow_sampler_arguments, SamplerExtras {
  __device__ Sampler(const winnow_sampler_arguments& arguments, const SamplerExtras& extras)
      : winnow_sampler_arguments(arguments), SamplerExtras(extras) {
    if (num_seen > 0) logits = penalised;
  }
};

__device__ uint64_t key_of(float logit, int64_t index) {
  return uint64_t{ordered(logit)} << 32 | (UINT32_MAX - static_cast<uint32_t>(index));
}

__device__ int64_t index_of(uint64_t key) { return UINT32_MAX - static_cast<uint32_t>(key); }

__device__ float logit_of(uint64_t key) { return from_ordered(static_cast<uint32_t>(key >> 32)); }

struct Max {
  __device__ uint64_t operator()(uint64_t a, uint64_t b) const { return a > b ? a : b; }
};

struct Min {
  __device__ uint64_t operator()(uint64_t a, uint64_t b) const { return a < b ? a : b; }
};

struct Plus {
  __device__ uint64_t operator()(uint64_t a, uint64_t b) const { return a + b; }
};

// Combines the values of all threads and returns the result to every thread. kThreads: threads of the block.
template <int32_t kThreads, typename Combine>
__device__ uint64_t combine_block(uint64_t value, const Combine& combine) {
  __shared__ uint64_t of_warps[kThreads / 32];
  for (int distance = 16; distance > 0; distance /= 2)
    value = combine(value, __shfl_xor_sync(kAllLanes, value, distance));
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
  __syncthreads();
  value = of_warps[0];
  for (int32_t warp = 1; warp < kThreads / 32; ++warp) value = combine(value, of_warps[warp]);
  __syncthreads();  // of_warps have been read
  return value;
}

template <int32_t kThreads>
__device__ uint64_t best_of_surveys(const Sampler& op) {
  uint64_t best = 0;
  for (int32_t i = threadIdx.x; i < op.num_blocks; i += kThreads) best = Max()(best, op.surveys[i].best_key);
  return combine_block<kThreads>(best, Max());
}

// A histogram over 256 digits, and the block's results.
struct Histogram {
  unsigned long long amounts[256];
  uint32_t counts[256];
  uint64_t prefix, remaining;
  bool complete;
};

// For the first warp: finds the largest digit from which on the amounts reach `remaining`. Lane 0 subtracts the amounts
// above it.
__device__ void take_digit(Histogram* histogram, int32_t shift) {
  const int lane = threadIdx.x;
  const int32_t top = 255 - 8 * lane;  // this lane has the digits top - 7 to top
  uint64_t own = 0;
  for (int32_t i = 0; i < 8; ++i) own += histogram->amounts[top - i];
  const uint64_t sum = warp_inclusive_sum(own, lane), remaining = histogram->remaining;
  const uint32_t reached = __ballot_sync(kAllLanes, sum >= remaining);
  __syncwarp();  // remaining has been read
  if (lane != __ffs(reached) - 1) return;
  uint64_t left = remaining - (sum - own);
  int32_t digit = top;
  for (; histogram->amounts[digit] < left; --digit) left -= histogram->amounts[digit];
  histogram->remaining = left;
  histogram->prefix |= uint64_t(digit) << shift;
  histogram->complete = left == histogram->amounts[digit] || histogram->counts[digit] == 1;
}

// Among the keys from `lowest` on: the largest cutoff such that the amounts of all keys from it on reach `needed`. An
// amount is 1 or the weight.
template <bool kWeighs>
__device__ uint64_t cutoff_for(const Sampler& op, uint64_t needed, uint64_t lowest, Histogram* histogram) {
  if (threadIdx.x == 0) {
    histogram->prefix = 0;
    histogram->remaining = needed;
    histogram->complete = false;
  }
  for (int32_t shift = 56; shift >= 0; shift -= 8) {
    for (int32_t i = threadIdx.x; i < 256; i += kChooseThreads) {
      histogram->amounts[i] = 0;
      histogram->counts[i] = 0;
    }
    __syncthreads();
    const uint64_t prefix = histogram->prefix;
    const bool same_digit = shift < 32 && (op.vocabulary_size - 1) >> shift == 0;  // of every index: 255
    for (int64_t i = threadIdx.x; !same_digit && i < op.vocabulary_size; i += kChooseThreads) {
      const uint64_t key = key_of(op.logits[i], i);
      if (key < lowest || (shift < 56 && (key ^ prefix) >> (shift + 8) != 0)) continue;
      const int32_t digit = static_cast<int32_t>(key >> shift & 255);
      atomicAdd(&histogram->amounts[digit], kWeighs ? op.weights[i] : 1);
      atomicAdd(&histogram->counts[digit], 1u);
    }
    __syncthreads();
    if (same_digit) {
      if (threadIdx.x == 0) histogram->prefix |= uint64_t{255} << shift;
    } else if (threadIdx.x < 32) {
      take_digit(histogram, shift);
    }
    __syncthreads();
    if (histogram->complete) break;
  }
  const uint64_t cutoff = Max()(histogram->prefix, lowest);  // a digit taken whole may begin below
  __syncthreads();                                           // the histogram has been read
  return cutoff;
}

__device__ uint64_t mass_from(const Sampler& op, uint64_t cutoff) {
  uint64_t mass = 0;
  for (int64_t i = threadIdx.x; i < op.vocabulary_size; i += kChooseThreads) {
    if (key_of(op.logits[i], i) >= cutoff) mass += op.weights[i];
  }
  return combine_block<kChooseThreads>(mass, Plus());
}

// Writes the first candidate, in order of index, at which the running sum exceeds uniform * (sum of all). A candidate
// has a key of at least `cutoff` and a weight of at least `least`.
__device__ void draw(const Sampler& op, uint64_t cutoff, uint64_t least) {
  __shared__ uint64_t of_warps[kChooseThreads / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t slice = (op.vocabulary_size + kChooseThreads - 1) / kChooseThreads * 32;  // consecutive, per warp
  const int64_t begin = warp * slice, end = min(begin + slice, op.vocabulary_size);
  const auto weight = [&](int64_t i) {
    const uint64_t own = i < end && key_of(op.logits[i], i) >= cutoff ? op.weights[i] : 0;
    return own >= least ? own : uint64_t{0};
  };
  uint64_t sum = 0;
  for (int64_t i = begin + lane; i < end; i += 32) sum += weight(i);
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(kAllLanes, sum, distance);
  if (lane == 0) of_warps[warp] = sum;
  __syncthreads();
  uint64_t before = 0, total = 0;
  for (int32_t w = 0; w < kChooseThreads / 32; ++w) {
    if (w == warp) before = total;
    total += of_warps[w];
  }
  const auto target = static_cast<uint64_t>(__dmul_rn(op.uniform, __ull2double_rn(total)));
  if (target < before || target >= before + sum) return;
  for (int64_t first = begin; first < end; first += 32) {
    const uint64_t running = before + warp_inclusive_sum(weight(first + lane), lane);
    const uint32_t above = __ballot_sync(kAllLanes, running > target);
    if (above != 0) {
      if (lane == 0) *op.result = first + __ffs(above) - 1;
      return;
    }
    before = __shfl_sync(kAllLanes, running, 31);
  }
}

// 2^s: vocabulary_size rounded up to a power of two is 2^(64 - clz(vocabulary_size - 1)).
__device__ double weight_scale(int64_t vocabulary_size) {
  return __ull2double_rn(1ull << (__clzll(vocabulary_size - 1) - 2));
}

}  // namespace

}  // namespace winnow

extern "C" __global__ void sampler_penalise(const winnow_sampler_arguments arguments,
                                            const winnow::SamplerExtras extras) {
  const int64_t slice = (arguments.vocabulary_size + gridDim.x - 1) / gridDim.x;
  const int64_t begin = blockIdx.x * slice, end = min(begin + slice, arguments.vocabulary_size);
  for (int64_t i = begin + threadIdx.x; i < end; i += winnow::kSurveyThreads) extras.penalised[i] = arguments.logits[i];
  __syncthreads();  // the slice has been copied
  for (int64_t i = threadIdx.x; i < arguments.num_seen; i += winnow::kSurveyThreads) {
    const int64_t token = arguments.seen[i];
    if (token < begin || token >= end) continue;
    const float logit = arguments.logits[token];  // not the copy's: a token that occurs again is penalised once
    extras.penalised[token] =
        logit < 0 ? __fmul_rn(logit, arguments.repetition_penalty) : __fdiv_rn(logit, arguments.repetition_penalty);
  }
}

extern "C" __global__ void sampler_survey(const winnow_sampler_arguments arguments,
                                          const winnow::SamplerExtras extras) {
  const winnow::Sampler op(arguments, extras);
  uint64_t best = 0;
  int64_t refused = op.num_seen + op.vocabulary_size;
  for (int64_t i = int64_t{blockIdx.x} * winnow::kSurveyThreads + threadIdx.x; i < op.vocabulary_size;
       i += int64_t{gridDim.x} * winnow::kSurveyThreads) {
    const float logit = op.logits[i];
    if (!(logit < winnow::from_ordered(0xff800000u))) {  // NaN or +infinity
      refused = min(refused, op.num_seen + i);
    } else {
      best = winnow::Max()(best, winnow::key_of(logit, i));
    }
  }
  for (int64_t i = int64_t{blockIdx.x} * winnow::kSurveyThreads + threadIdx.x; i < op.num_seen;
       i += int64_t{gridDim.x} * winnow::kSurveyThreads) {
    if (op.seen[i] < 0 || op.seen[i] >= op.vocabulary_size) refused = min(refused, i);
  }
  best = winnow::combine_block<winnow::kSurveyThreads>(best, winnow::Max());
  refused = winnow::combine_block<winnow::kSurveyThreads>(refused, winnow::Min());
  if (threadIdx.x == 0) op.surveys[blockIdx.x] = {best, refused};
}

extern "C" __global__ void sampler_weigh(const winnow_sampler_arguments arguments, const winnow::SamplerExtras extras) {
  const winnow::Sampler op(arguments, extras);
  const double largest = winnow::logit_of(winnow::best_of_surveys<winnow::kSurveyThreads>(op));
  const double scale = winnow::weight_scale(op.vocabulary_size);
  for (int64_t i = int64_t{blockIdx.x} * winnow::kSurveyThreads + threadIdx.x; i < op.vocabulary_size;
       i += int64_t{gridDim.x} * winnow::kSurveyThreads) {
    const double weight = winnow::exponential_f64(__ddiv_rn(__dsub_rn(op.logits[i], largest), op.temperature));
    op.weights[i] = static_cast<uint64_t>(__dmul_rn(weight, scale));
  }
}

extern "C" __global__ void __launch_bounds__(winnow::kChooseThreads)
    sampler_choose(const winnow_sampler_arguments arguments, const winnow::SamplerExtras extras) {
  const winnow::Sampler op(arguments, extras);
  __shared__ winnow::Histogram histogram;
  const int64_t none = op.num_seen + op.vocabulary_size;
  int64_t refused = none;
  for (int32_t i = threadIdx.x; i < op.num_blocks; i += winnow::kChooseThreads)
    refused = min(refused, op.surveys[i].refused);
  refused = winnow::combine_block<winnow::kChooseThreads>(refused, winnow::Min());
  const uint64_t best = winnow::best_of_surveys<winnow::kChooseThreads>(op);
  const bool refuses = refused < none || winnow::logit_of(best) == winnow::from_ordered(0x007fffffu);  // -infinity
  if (refuses || op.temperature == 0) {
    const int64_t detail = refused < op.num_seen ? op.vocabulary_size + 1 + refused : refused - op.num_seen;
    if (threadIdx.x == 0) *op.result = refuses ? -1 - detail : winnow::index_of(best);
    return;
  }
  uint64_t cutoff = 0;
  if (op.top_k > 0 && op.top_k < op.vocabulary_size)
    cutoff = winnow::cutoff_for<false>(op, static_cast<uint64_t>(op.top_k), 0, &histogram);
  if (op.top_p < 1) {
    const uint64_t mass = winnow::mass_from(op, cutoff);
    const auto share = static_cast<uint64_t>(ceil(__dmul_rn(op.top_p, __ull2double_rn(mass))));
    cutoff = winnow::cutoff_for<true>(op, min(share, mass), cutoff, &histogram);
  }
  winnow::draw(op, cutoff, static_cast<uint64_t>(ceil(__dmul_rn(op.min_p, winnow::weight_scale(op.vocabulary_size)))));
}
