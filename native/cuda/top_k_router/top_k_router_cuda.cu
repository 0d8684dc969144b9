// Chooses experts and their weights for each token: winnow/top_k_router.h. There are four variants:
//
//   top_k_router_fixed    rules by which every token has top_k choices: one launch
//   top_k_router_ragged   the other rules. The choices of token t begin at t * top_k in choice_ids; token_offsets gets
//                         their numbers. top_k_router_offsets turns these into offsets, and top_k_router_close_up
//                         removes the gaps between tokens
//   top_k_router_plan     at most kMaxPlannedTokens tokens and kMaxPlannedPairs choices, any rule: routed, closed up
//                         and sorted by expert (winnow/expert_plan.h) in one launch
//
// Grid     fixed, ragged: x: as many blocks as hold num_tokens warps. close_up: the same. offsets, plan: one block.
// Block    multiples of 32 threads; a warp routes a token. offsets: kRouterOffsetsThreads.
// Memory   logits are read once per use from cache; dynamic shared memory: warp_scratch_bytes per warp, and for plan
//          plan_scratch_bytes.
// Order    that of route_token.cuh; the only atomic is an integer maximum. The same bits on every run and on the CPU.
// Needs    num_tokens >= 1, below 2^31 / top_k; status->refused is 0 before the first launch, and again after it was
//          reported.
#include <cstdint>

#include "expert_plan/expert_plan_block.cuh"
#include "top_k_router/route_token.cuh"
#include "top_k_router/top_k_router_launch.h"
#include "winnow/expert_plan.h"

namespace winnow {

namespace {

using Arguments = winnow_top_k_router_arguments;

extern __shared__ double dynamic_shared[];

__device__ WarpScratch scratch_of_warp(const Router& op) {
  return WarpScratch(op, reinterpret_cast<char*>(dynamic_shared) + threadIdx.x / 32 * op.scratch_bytes());
}

// Records a refused token and gives it top_k choices with weight NaN. A captured step continues with these until the
// host waits. Returns top_k.
__device__ int32_t refuse(const Router& op, const RouterExtras& extras, int64_t token, int32_t* ids, float* weights) {
  if (threadIdx.x % 32 == 0) atomicMax(&extras.status->refused, static_cast<int32_t>(INT32_MAX - token));
  for (int32_t i = threadIdx.x % 32; i < op.top_k; i += 32) {
    ids[i] = i;
    weights[i] = __int_as_float(0x7fc00000);
  }
  return op.top_k;
}

// Routes the token of this warp into its top_k elements of ids and weights, and returns the number of choices.
__device__ int32_t route_to_stretch(const Router& op, const RouterExtras& extras, int64_t token) {
  int32_t* const ids = extras.choice_ids + token * op.top_k;
  float* const weights = extras.choice_weights + token * op.top_k;
  const int32_t count = route_token(op, token, scratch_of_warp(op), ids, weights);
  return count < 0 ? refuse(op, extras, token, ids, weights) : count;
}

__device__ int64_t token_of_warp() { return int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32; }

// Shared memory of top_k_router_plan after the warps' scratch: plan_scratch_bytes.
struct PlanScratch {
  int32_t* ids;      // [num_tokens * top_k] stretches
  float* weights;    // [num_tokens * top_k]
  int32_t* experts;  // [num_tokens * top_k] closed up
  int32_t* tokens;   // [num_tokens * top_k]
  int32_t* ranks;    // [num_tokens * top_k]
  int32_t* counts;   // [num_experts]
  int32_t* offsets;  // [kMaxPlannedTokens + 1]
};

__device__ PlanScratch plan_scratch(const Router& op) {
  const int64_t pairs = op.num_tokens * op.top_k;
  PlanScratch s;
  s.ids = reinterpret_cast<int32_t*>(reinterpret_cast<char*>(dynamic_shared) + blockDim.x / 32 * op.scratch_bytes());
  s.weights = reinterpret_cast<float*>(s.ids + pairs);
  s.experts = s.ids + 2 * pairs;
  s.tokens = s.ids + 3 * pairs;
  s.ranks = s.ids + 4 * pairs;
  s.counts = s.ids + 5 * pairs;
  s.offsets = s.counts + op.num_experts;
  return s;
}

// Routes every token t into its top_k elements; offsets[t + 1] gets its number of choices.
__device__ void route_block(const Router& op, const RouterExtras& extras, const PlanScratch& s) {
  for (int32_t token = threadIdx.x / 32; token < op.num_tokens; token += blockDim.x / 32) {
    int32_t* const ids = s.ids + token * op.top_k;
    float* const weights = s.weights + token * op.top_k;
    int32_t count = route_token(op, token, scratch_of_warp(op), ids, weights);
    if (count < 0) count = refuse(op, extras, token, ids, weights);
    if (threadIdx.x % 32 == 0) s.offsets[token + 1] = count;
  }
}

// The first warp turns counts into offsets, in shared memory and in the output.
__device__ void offsets_of_block(const Router& op, const Arguments& out, const RouterExtras& extras,
                                 const PlanScratch& s) {
  const int lane = threadIdx.x;
  if (lane >= 32) return;
  const int32_t end = warp_inclusive_sum(lane < op.num_tokens ? s.offsets[lane + 1] : 0, lane);
  if (lane == 0) s.offsets[0] = out.token_offsets[0] = 0;
  if (lane < op.num_tokens) s.offsets[lane + 1] = out.token_offsets[lane + 1] = end;
  if (lane == 31) extras.status->num_rows = end;
}

__device__ void close_up_block(const Router& op, const Arguments& out, const PlanScratch& s) {
  for (int32_t token = threadIdx.x / 32; token < op.num_tokens; token += blockDim.x / 32) {
    const int32_t begin = s.offsets[token], count = s.offsets[token + 1] - begin;
    for (int32_t i = threadIdx.x % 32; i < count; i += 32) {
      const int32_t expert = s.ids[token * op.top_k + i];
      out.expert_ids[begin + i] = s.experts[begin + i] = expert;
      out.routing_weights[begin + i] = s.weights[token * op.top_k + i];
      s.tokens[begin + i] = token;
    }
  }
}

}  // namespace

}  // namespace winnow

extern "C" __global__ void top_k_router_fixed(const winnow_top_k_router_arguments arguments,
                                              const winnow::RouterExtras extras) {
  const winnow::Router op(arguments);
  const int64_t token = winnow::token_of_warp();
  if (token >= op.num_tokens) return;
  winnow::route_to_stretch(op, extras, token);
  if (threadIdx.x % 32 != 0) return;
  if (token == 0) arguments.token_offsets[0] = 0;
  arguments.token_offsets[token + 1] = static_cast<int32_t>((token + 1) * op.top_k);
}

extern "C" __global__ void top_k_router_ragged(const winnow_top_k_router_arguments arguments,
                                               const winnow::RouterExtras extras) {
  const winnow::Router op(arguments);
  const int64_t token = winnow::token_of_warp();
  if (token >= op.num_tokens) return;
  const int32_t count = winnow::route_to_stretch(op, extras, token);
  if (threadIdx.x % 32 == 0) arguments.token_offsets[token + 1] = count;
}

// Turns token_offsets[t + 1], the number of choices of token t, into the inclusive sum of these numbers.
extern "C" __global__ void __launch_bounds__(winnow::kRouterOffsetsThreads)
    top_k_router_offsets(const winnow_top_k_router_arguments arguments, const winnow::RouterExtras extras) {
  __shared__ int32_t warp_sums[32];
  int32_t* const token_offsets = arguments.token_offsets;
  const int64_t num_tokens = arguments.num_tokens;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int32_t before = 0;  // choices of the tiles before this one
  for (int64_t first = 0; first < num_tokens; first += blockDim.x) {
    const int64_t token = first + threadIdx.x;
    const int32_t in_warp = winnow::warp_inclusive_sum(token < num_tokens ? token_offsets[token + 1] : 0, lane);
    if (lane == 31) warp_sums[warp] = in_warp;
    __syncthreads();
    const int32_t of_warps = winnow::warp_inclusive_sum(warp_sums[lane], lane);
    const int32_t warps_before = __shfl_sync(winnow::kAllLanes, of_warps, max(warp - 1, 0));
    if (token < num_tokens) token_offsets[token + 1] = before + in_warp + (warp == 0 ? 0 : warps_before);
    before += __shfl_sync(winnow::kAllLanes, of_warps, 31);
    __syncthreads();  // warp_sums have been read
  }
  if (threadIdx.x != 0) return;
  token_offsets[0] = 0;
  extras.status->num_rows = before;
}

extern "C" __global__ void top_k_router_close_up(const winnow_top_k_router_arguments arguments,
                                                 const winnow::RouterExtras extras) {
  const int64_t token = winnow::token_of_warp(), top_k = arguments.top_k;
  if (token >= arguments.num_tokens) return;
  const int32_t begin = arguments.token_offsets[token], count = arguments.token_offsets[token + 1] - begin;
  for (int32_t i = threadIdx.x % 32; i < count; i += 32) {
    arguments.expert_ids[begin + i] = extras.choice_ids[token * top_k + i];
    arguments.routing_weights[begin + i] = extras.choice_weights[token * top_k + i];
  }
}

extern "C" __global__ void top_k_router_plan(const winnow_top_k_router_arguments arguments,
                                             const winnow_expert_plan_arguments plan,
                                             const winnow::RouterExtras extras) {
  const winnow::Router op(arguments);
  const winnow::PlanScratch s = winnow::plan_scratch(op);
  for (int32_t e = threadIdx.x; e < op.num_experts; e += blockDim.x) s.counts[e] = 0;
  winnow::route_block(op, extras, s);
  __syncthreads();
  winnow::offsets_of_block(op, arguments, extras, s);
  __syncthreads();
  winnow::close_up_block(op, arguments, s);
  __syncthreads();
  winnow::plan_block({s.experts, s.tokens, s.ranks, s.counts, plan.expert_offsets, plan.source_rows,
                      plan.assignment_rows, plan.active_experts, s.offsets[op.num_tokens], op.num_experts});
}
