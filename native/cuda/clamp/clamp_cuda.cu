// values[i] = min(max(values[i], -limit), limit), NaN stays NaN, see winnow/clamp.h.
//
// Layout   flat; float4 if the address is a multiple of 16, except for the last elements.
// Grid     x: as many blocks as fill the device, each thread strides over the grid.
// Block    any number of threads.
// Memory   reads and writes 4 bytes per element.
// Order    no arithmetic, no atomics: the same bits on every run.
// Needs    size >= 1, limit >= 0.
#include <cstdint>

#include "winnow/clamp.h"

namespace {

// Comparisons are false for NaN; fminf and fmaxf would return the limit.
__device__ float clamped(float value, float limit) { return value > limit ? limit : value < -limit ? -limit : value; }

}  // namespace

extern "C" __global__ void clamp_f32(const winnow_clamp_arguments arguments) {
  float* values = arguments.values;
  const float limit = arguments.limit;
  const int64_t size = arguments.size;
  const int64_t vectors = reinterpret_cast<uint64_t>(values) % sizeof(float4) == 0 ? size / 4 : 0;
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  float4* values4 = reinterpret_cast<float4*>(values);
  for (int64_t i = first; i < vectors; i += stride) {
    const float4 v = values4[i];
    values4[i] = make_float4(clamped(v.x, limit), clamped(v.y, limit), clamped(v.z, limit), clamped(v.w, limit));
  }
  for (int64_t i = 4 * vectors + first; i < size; i += stride) values[i] = clamped(values[i], limit);
}
