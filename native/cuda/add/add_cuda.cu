// accumulator[i] += addend[i], see winnow/add.h.
//
// Layout   flat; float4 if both addresses are multiples of 16, except for the last elements.
// Grid     x: as many blocks as fill the device, each thread strides over the grid.
// Block    any number of threads.
// Memory   reads 8 and writes 4 bytes per element.
// Order    one rounding per element, no atomics: the same bits on every run.
// Needs    size >= 1. addend may be accumulator itself: every thread reads an element before it writes it.
#include <cstdint>

#include "winnow/add.h"

extern "C" __global__ void add_f32(const winnow_add_arguments arguments) {
  float* accumulator = arguments.accumulator;
  const float* addend = arguments.addend;
  const int64_t size = arguments.size;
  const uint64_t addresses = reinterpret_cast<uint64_t>(accumulator) | reinterpret_cast<uint64_t>(addend);
  const int64_t vectors = addresses % sizeof(float4) == 0 ? size / 4 : 0;
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  float4* accumulator4 = reinterpret_cast<float4*>(accumulator);
  const float4* addend4 = reinterpret_cast<const float4*>(addend);
  for (int64_t i = first; i < vectors; i += stride) {
    float4 sum = accumulator4[i];
    const float4 other = addend4[i];
    sum.x += other.x;
    sum.y += other.y;
    sum.z += other.z;
    sum.w += other.w;
    accumulator4[i] = sum;
  }
  for (int64_t i = 4 * vectors + first; i < size; i += stride) accumulator[i] += addend[i];
}
