// destination[i * destination_outer + j * destination_inner + c] = source[i * source_outer + j * source_inner + c], see winnow/strided_copy.h.
//
// Layout   neighbouring threads move neighbouring elements. strided_copy_f32x4 moves four at once; its strides and width count float4.
// Grid     x: as many blocks as hold a thread per element, at most what fills the device: each thread strides over the grid.
// Block    any number of threads.
// Memory   reads and writes 4 bytes per element.
// Order    no arithmetic.
// Needs    outer_size, inner_size, width >= 1; for x4 addresses that are multiples of 16.
#include <cstdint>

namespace {

template <typename T>
__device__ __forceinline__ void strided_copy(const T* __restrict__ source, int64_t source_outer, int64_t source_inner,
                                             T* __restrict__ destination, int64_t destination_outer,
                                             int64_t destination_inner, int64_t outer_size, int64_t inner_size,
                                             int64_t width) {
  const int64_t size = outer_size * inner_size * width, stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t e = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; e < size; e += stride) {
    const int64_t row = e / width, column = e - row * width, i = row / inner_size, j = row - i * inner_size;
    destination[i * destination_outer + j * destination_inner + column] =
        source[i * source_outer + j * source_inner + column];
  }
}

}  // namespace

extern "C" __global__ void strided_copy_f32(const float* source, int64_t source_outer, int64_t source_inner,
                                            float* destination, int64_t destination_outer, int64_t destination_inner,
                                            int64_t outer_size, int64_t inner_size, int64_t width) {
  strided_copy(source, source_outer, source_inner, destination, destination_outer, destination_inner, outer_size,
               inner_size, width);
}

extern "C" __global__ void strided_copy_f32x4(const float4* source, int64_t source_outer, int64_t source_inner,
                                              float4* destination, int64_t destination_outer, int64_t destination_inner,
                                              int64_t outer_size, int64_t inner_size, int64_t width) {
  strided_copy(source, source_outer, source_inner, destination, destination_outer, destination_inner, outer_size,
               inner_size, width);
}
