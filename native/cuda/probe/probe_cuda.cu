// What a device reaches at most, for shares of it: multiply-adds on operands in registers, on tensor cores (probe_bf16) and
// as f32 instructions (probe_f32). No operation uses these kernels.
//
//   probe_bf16   output[thread] = 512 rounds: 8 chains of `rounds` MMA m16n8k16 of ones; 8 * 4096 operations per warp and round
//   probe_f32    output[thread] = 16 rounds: 16 chains of `rounds` multiply-adds of ones; 32 operations per thread and round
//
// Grid     x: several blocks per multiprocessor.
// Block    a multiple of 32 threads.
// Memory   writes 4 bytes per thread.
// Order    chains are independent, so each waits for no other. Exact below 2^24.
#include <cstdint>

#include "base/matrix.cuh"

namespace {

constexpr int kTensorChains = 8;
constexpr int kScalarChains = 16;
constexpr uint32_t kOnes = 0x3f803f80;  // two bf16

__device__ __forceinline__ int64_t thread() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

}  // namespace

extern "C" __global__ void probe_bf16(float* output, int rounds) {
  const uint32_t a[4] = {kOnes, kOnes, kOnes, kOnes};
  float sums[kTensorChains][4] = {};
  for (int r = 0; r < rounds; ++r) {
#pragma unroll
    for (int c = 0; c < kTensorChains; ++c) winnow::multiply_add_bf16(sums[c], a, kOnes, kOnes);
  }
  float total = 0;
#pragma unroll
  for (int c = 0; c < kTensorChains; ++c) total += sums[c][0] + sums[c][1] + sums[c][2] + sums[c][3];
  output[thread()] = total;
}

// `one` is an argument: the compiler must not know that nothing is to be computed.
extern "C" __global__ void probe_f32(float* output, int rounds, float one) {
  float sums[kScalarChains] = {};
  for (int r = 0; r < rounds; ++r) {
#pragma unroll
    for (int c = 0; c < kScalarChains; ++c) sums[c] = fmaf(sums[c], one, one);
  }
  float total = 0;
#pragma unroll
  for (int c = 0; c < kScalarChains; ++c) total += sums[c];
  output[thread()] = total;
}
