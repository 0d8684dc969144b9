// Kernels with one mistake each, beside the same kernel without it. seeded_bugs_test.cpp says what must be found.
#include <cstdint>

// The last element: i <= n.
template <bool kBug>
__device__ void scale(const float* input, float* output, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (kBug ? i <= n : i < n) {
    output[i] = 2 * input[i];  // BUG out of bounds
  }
}

// Each thread writes its element of dynamic shared memory and reads its mirror.
template <bool kBug>
__device__ void reverse(const float* input, float* output, int rounds) {
  extern __shared__ float tile[];
  const int t = threadIdx.x, n = blockDim.x;
  for (int round = 0; round < rounds; ++round) {
    tile[t] = input[round * n + t];  // BUG write after read
    if (!kBug) __syncthreads();
    output[round * n + t] = tile[n - 1 - t];  // BUG read
    if (!kBug) __syncthreads();
  }
}

// Lanes of one warp exchange through shared memory.
template <bool kBug>
__device__ void neighbour(const int* input, int* output) {
  __shared__ int values[32];
  values[threadIdx.x] = input[threadIdx.x];
  if (!kBug) __syncwarp();
  output[threadIdx.x] = values[threadIdx.x ^ 1];  // BUG read
}

__device__ inline void copy16(void* shared, const void* global) {
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
      "l"(global)  // BUG refill
      : "memory");
}

// Double buffering: 128 threads copy 16 bytes each per stage; sums over the stages, read by other threads than copied.
template <bool kWait, bool kBarrierBeforeRefill>
__device__ void pipeline(const int4* input, int* output, int num_stages) {
  __shared__ int4 buffer[2][128];
  const int t = threadIdx.x;
  int sum = 0;
  copy16(&buffer[0][t], &input[t]);
  asm volatile("cp.async.commit_group;" ::: "memory");
  for (int stage = 0; stage < num_stages; ++stage) {
    if (stage + 1 < num_stages) copy16(&buffer[(stage + 1) & 1][t], &input[(stage + 1) * 128 + t]);
    asm volatile("cp.async.commit_group;" ::: "memory");
    if (kWait) asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    const int4 value = buffer[stage & 1][127 - t];  // BUG read
    sum += value.x + value.y + value.z + value.w;
    if (kBarrierBeforeRefill) __syncthreads();
  }
  output[t] = sum;
}

template <bool kBug>
__device__ void branches(int* output) {
  if (kBug && threadIdx.x % 2 == 0) {
    output[threadIdx.x] = 1;
    __syncthreads();  // BUG even
    output[threadIdx.x] += 2;
  } else {
    output[threadIdx.x] = 5;
    __syncthreads();  // BUG odd
    output[threadIdx.x] += 3;
  }
}

// As `branches`, but both barriers are the same line of a helper: only the calls tell them apart.
__device__ inline void publish(int* slot, int value) {
  *slot = value;
  __syncthreads();  // BUG of the helper
}
__device__ inline void publish_half(int* slot, int value) { publish(slot, value / 2); }
template <bool kBug>
__device__ void branches_to_helper(int* output) {
  int value = 0;
  if (kBug && threadIdx.x < 32) {
    publish_half(&output[threadIdx.x], 2);
    value = 2;
  } else {
    publish_half(&output[threadIdx.x], 10);
    value = 3;
  }
  output[threadIdx.x] += value;
}

// Several blocks add to one cell.
template <bool kBug>
__device__ void count_blocks(int* count) {
  if (threadIdx.x != 0) return;
  if (kBug) {
    *count += 1;  // BUG read-modify-write
  } else {
    atomicAdd(count, 1);
  }
}

// Every block leaves a partial sum; the last one adds them up.
template <bool kFence>
__device__ void last_block_sums(const int* input, int* partial, unsigned* ticket, int* output) {
  __shared__ bool last;
  if (threadIdx.x < 4) partial[blockIdx.x * 4 + threadIdx.x] = input[blockIdx.x * 4 + threadIdx.x];
  if (kFence) __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(ticket, 1) == gridDim.x - 1;
  __syncthreads();
  if (last && threadIdx.x == 0) {
    int sum = 0;
    for (int i = 0; i < 4 * gridDim.x; ++i) sum += partial[i];  // BUG read of other blocks' parts
    *output = sum;
  }
}

// A lock that the lanes of a warp, and warps, fight for.
template <bool kFence>
__device__ void locked_count(int* lock, int* count) {
  while (atomicCAS(lock, 0, 1) != 0) {
  }
  if (kFence) __threadfence();
  *reinterpret_cast<int*>(count) += 1;  // BUG protected
  if (kFence) __threadfence();
  atomicExch(lock, 0);
}

// Half of a warp shuffles with the full mask, the other half has gone or does something else.
template <bool kBug>
__device__ void shuffle_half(const int* input, int* output) {
  if (threadIdx.x >= 16) return;
  const unsigned members = kBug ? 0xFFFFFFFF : 0xFFFF;
  output[threadIdx.x] = __shfl_xor_sync(members, input[threadIdx.x], 1);  // BUG members
}

// Producer warps 0, 1 fill; consumer warps 2, 3 read; `full` and `empty` are named barriers of all 128 threads.
template <bool kEmptyBarrier>
__device__ void producer_consumer(const int* input, int* output, int rounds) {
  __shared__ int slot[64];
  const int t = threadIdx.x;
  for (int round = 0; round < rounds; ++round) {
    if (t < 64) {
      if (kEmptyBarrier && round > 0) asm volatile("bar.sync 2, 128;" ::: "memory");
      slot[t] = input[round * 64 + t];  // BUG refilled
      if (kEmptyBarrier) {
        asm volatile("bar.arrive 1, 128;" ::: "memory");
      } else {
        asm volatile("bar.sync 1, 128;" ::
                         : "memory");  // orders the reads after the writes, not the next writes after the reads
      }
    } else {
      asm volatile("bar.sync 1, 128;" ::: "memory");
      output[round * 64 + t - 64] = slot[127 - t];
      if (kEmptyBarrier && round + 1 < rounds) asm volatile("bar.arrive 2, 128;" ::: "memory");
    }
  }
}

// One warp waits at a barrier of 64 threads that the other never reaches.
template <bool kBug>
__device__ void partner(int* output) {
  output[threadIdx.x] = 1;
  if (!kBug || threadIdx.x < 32) asm volatile("bar.sync 3, 64;" ::: "memory");  // BUG alone
  output[threadIdx.x] = 2;
}

template <bool kBug>
__device__ void endless(volatile int* flag) {
  while (*flag == (kBug ? 0 : 1)) {  // BUG nobody sets it
  }
}

template <bool kBug>
__device__ void local_array(const int* indices, int* output) {
  int values[8];
  for (int i = 0; i < (kBug ? 7 : 8); ++i) values[indices[i]] = i;
  output[threadIdx.x] = values[indices[threadIdx.x % 8 + 8]];  // BUG read of what nothing wrote
}

template <bool kBug>
__device__ void wide_load(const float* input, float4* output) {
  output[threadIdx.x] = *reinterpret_cast<const float4*>(input + 4 * threadIdx.x + (kBug ? 1 : 0));  // BUG alignment
}

extern "C" __global__ void scale_right(const float* x, float* y, int n) { scale<false>(x, y, n); }
extern "C" __global__ void scale_wrong(const float* x, float* y, int n) { scale<true>(x, y, n); }
extern "C" __global__ void reverse_right(const float* x, float* y, int rounds) { reverse<false>(x, y, rounds); }
extern "C" __global__ void reverse_wrong(const float* x, float* y, int rounds) { reverse<true>(x, y, rounds); }
extern "C" __global__ void neighbour_right(const int* x, int* y) { neighbour<false>(x, y); }
extern "C" __global__ void neighbour_wrong(const int* x, int* y) { neighbour<true>(x, y); }
extern "C" __global__ void pipeline_right(const int4* x, int* y, int n) { pipeline<true, true>(x, y, n); }
extern "C" __global__ void pipeline_no_wait(const int4* x, int* y, int n) { pipeline<false, true>(x, y, n); }
extern "C" __global__ void pipeline_no_barrier(const int4* x, int* y, int n) { pipeline<true, false>(x, y, n); }
extern "C" __global__ void branches_right(int* y) { branches<false>(y); }
extern "C" __global__ void branches_wrong(int* y) { branches<true>(y); }
extern "C" __global__ void helper_right(int* y) { branches_to_helper<false>(y); }
extern "C" __global__ void helper_wrong(int* y) { branches_to_helper<true>(y); }
extern "C" __global__ void count_blocks_right(int* y) { count_blocks<false>(y); }
extern "C" __global__ void count_blocks_wrong(int* y) { count_blocks<true>(y); }
extern "C" __global__ void last_block_right(const int* x, int* p, unsigned* t, int* y) {
  last_block_sums<true>(x, p, t, y);
}
extern "C" __global__ void last_block_wrong(const int* x, int* p, unsigned* t, int* y) {
  last_block_sums<false>(x, p, t, y);
}
extern "C" __global__ void locked_right(int* lock, int* count) { locked_count<true>(lock, count); }
extern "C" __global__ void locked_wrong(int* lock, int* count) { locked_count<false>(lock, count); }
extern "C" __global__ void shuffle_right(const int* x, int* y) { shuffle_half<false>(x, y); }
extern "C" __global__ void shuffle_wrong(const int* x, int* y) { shuffle_half<true>(x, y); }
extern "C" __global__ void producer_right(const int* x, int* y, int rounds) { producer_consumer<true>(x, y, rounds); }
extern "C" __global__ void producer_wrong(const int* x, int* y, int rounds) { producer_consumer<false>(x, y, rounds); }
extern "C" __global__ void partner_right(int* y) { partner<false>(y); }
extern "C" __global__ void partner_wrong(int* y) { partner<true>(y); }
extern "C" __global__ void endless_right(int* flag) { endless<false>(flag); }
extern "C" __global__ void endless_wrong(int* flag) { endless<true>(flag); }
extern "C" __global__ void local_right(const int* x, int* y) { local_array<false>(x, y); }
extern "C" __global__ void local_wrong(const int* x, int* y) { local_array<true>(x, y); }
extern "C" __global__ void wide_right(const float* x, float4* y) { wide_load<false>(x, y); }
extern "C" __global__ void wide_wrong(const float* x, float4* y) { wide_load<true>(x, y); }
