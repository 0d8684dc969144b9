// Row p = *first_position + position_offset + t of head h in the pages gets columns of source row (t, h), see winnow/kv_append.h.
//
// Layout   neighbouring threads move neighbouring columns. kv_append_f32x4 moves four at once; its strides, row_stride, column and width count float4.
// Grid     x: as many blocks as hold a thread per element, at most what fills the device: each thread strides over the grid. It does not depend on the
//          position, which lies in device memory: a captured launch can be replayed at the next one.
// Block    any number of threads.
// Memory   reads and writes 4 bytes per element, and a page address per row.
// Order    no arithmetic.
// Needs    num_tokens, num_heads, width >= 1; page addresses in device memory, all pages present; for x4 addresses that are multiples of 16.
#include <cstdint>

namespace {

template <typename T>
__device__ __forceinline__ void kv_append(const T* source, int64_t token_stride, int64_t head_stride,
                                          const uint64_t* pages, const int64_t* first_position, int64_t position_offset,
                                          int64_t num_tokens, int64_t num_heads, int64_t page_size, int64_t row_stride,
                                          int64_t column, int64_t width) {
  const int64_t first = *first_position + position_offset;
  const int64_t size = num_tokens * num_heads * width, stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t e = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; e < size; e += stride) {
    const int64_t row = e / width, c = e - row * width, token = row / num_heads, head = row - token * num_heads;
    const int64_t position = first + token, page = position / page_size, slot = position - page * page_size;
    T* rows = reinterpret_cast<T*>(pages[page]) + head * page_size * row_stride;
    rows[slot * row_stride + column + c] = source[token * token_stride + head * head_stride + c];
  }
}

}  // namespace

extern "C" __global__ void kv_append_f32(const float* source, int64_t token_stride, int64_t head_stride,
                                         const uint64_t* pages,          // [number of pages]
                                         const int64_t* first_position,  // [1]
                                         int64_t position_offset, int64_t num_tokens, int64_t num_heads,
                                         int64_t page_size, int64_t row_stride, int64_t column, int64_t width) {
  kv_append(source, token_stride, head_stride, pages, first_position, position_offset, num_tokens, num_heads, page_size,
            row_stride, column, width);
}

extern "C" __global__ void kv_append_f32x4(const float4* source, int64_t token_stride, int64_t head_stride,
                                           const uint64_t* pages, const int64_t* first_position,
                                           int64_t position_offset, int64_t num_tokens, int64_t num_heads,
                                           int64_t page_size, int64_t row_stride, int64_t column, int64_t width) {
  kv_append(source, token_stride, head_stride, pages, first_position, position_offset, num_tokens, num_heads, page_size,
            row_stride, column, width);
}
