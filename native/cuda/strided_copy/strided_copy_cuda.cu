// destination[i * destination_outer + j * destination_inner + c] = source[i * source_outer + j * source_inner + c], see
// winnow/strided_copy.h.
//
// Layout   neighbouring threads move neighbouring elements. strided_copy_f32x4 moves four at once.
// Grid     x: as many blocks as hold a thread per element, at most what fills the device: each thread strides over the
//          grid.
// Block    any number of threads.
// Memory   reads and writes 4 bytes per element.
// Order    no arithmetic.
// Needs    outer_size, inner_size, width >= 1; for x4 addresses that are multiples of 16, and strides and width that
//          are multiples of 4.
#include <cstdint>

#include "winnow/strided_copy.h"

namespace {

// T: float, or float4 for four elements at once.
template <typename T>
__device__ __forceinline__ void strided_copy(const winnow_strided_copy_arguments& arguments) {
  constexpr int64_t kElements = sizeof(T) / sizeof(float);
  const T* __restrict__ source = reinterpret_cast<const T*>(arguments.source);
  T* __restrict__ destination = reinterpret_cast<T*>(arguments.destination);
  const int64_t source_outer = arguments.source_outer_stride / kElements;
  const int64_t source_inner = arguments.source_inner_stride / kElements;
  const int64_t destination_outer = arguments.destination_outer_stride / kElements;
  const int64_t destination_inner = arguments.destination_inner_stride / kElements;
  const int64_t inner_size = arguments.inner_size, width = arguments.width / kElements;
  const int64_t size = arguments.outer_size * inner_size * width, stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t e = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; e < size; e += stride) {
    const int64_t row = e / width, column = e - row * width, i = row / inner_size, j = row - i * inner_size;
    destination[i * destination_outer + j * destination_inner + column] =
        source[i * source_outer + j * source_inner + column];
  }
}

}  // namespace

extern "C" __global__ void strided_copy_f32(const winnow_strided_copy_arguments arguments) {
  strided_copy<float>(arguments);
}

extern "C" __global__ void strided_copy_f32x4(const winnow_strided_copy_arguments arguments) {
  strided_copy<float4>(arguments);
}
