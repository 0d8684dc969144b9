// Functions, printf and assert on the device.
#include <cassert>
#include <cstdio>

__device__ __noinline__ int collatz(int n) {
  int steps = 0;
  while (n != 1) {
    n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    ++steps;
  }
  return steps;
}

__device__ __noinline__ float2 polar(float radius, float2 direction) {
  return make_float2(radius * direction.x, radius * direction.y);
}

extern "C" __global__ void call_functions(const int* input, int* output, float2* points) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  output[i] = collatz(input[i]);
  if (i % 3 == 0) points[i] = polar(static_cast<float>(i), make_float2(0.5f, -1));
}

extern "C" __global__ void print_values(const int* input) {
  if (threadIdx.x < 2)
    printf("block %d thread %d: %5.2f %s %lld\n", blockIdx.x, threadIdx.x, input[threadIdx.x] / 2.0, "text", 1ll << 40);
}

extern "C" __global__ void assert_positive(const int* input) { assert(input[threadIdx.x] > 0); }
