// Row p = *cache_length + t of head h in the pages gets columns of source row (t, h), see winnow/kv_append.h.
//
// Layout   neighbouring threads move neighbouring columns. kv_append_f32x4 moves four at once.
// Grid     x: as many blocks as hold a thread per element, at most what fills the device: each thread strides over the
//          grid. It does not depend on the position, which lies in device memory: a captured launch can be replayed at
//          the next one.
// Block    any number of threads.
// Memory   reads and writes 4 bytes per element, and a page address per row.
// Order    no arithmetic.
// Needs    num_tokens, num_heads, width >= 1; page addresses in device memory, all pages present; for x4 a source at a
//          multiple of 16 bytes, and strides, column and width that are multiples of 4.
#include <cstdint>

#include "winnow/kv_append.h"

namespace {

// T: float, or float4 for four elements at once.
template <typename T>
__device__ __forceinline__ void kv_append(const winnow_kv_append_arguments& arguments) {
  constexpr int64_t kElements = sizeof(T) / sizeof(float);
  const auto* source = reinterpret_cast<const T*>(arguments.source);
  const int64_t token_stride = arguments.token_stride / kElements, head_stride = arguments.head_stride / kElements;
  const int64_t row_stride = arguments.row_stride / kElements, column = arguments.column / kElements;
  const int64_t num_heads = arguments.num_heads, page_size = arguments.page_size, width = arguments.width / kElements;
  const int64_t first = *arguments.cache_length;
  const int64_t size = arguments.num_tokens * num_heads * width, stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t e = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; e < size; e += stride) {
    const int64_t row = e / width, c = e - row * width, token = row / num_heads, head = row - token * num_heads;
    const int64_t position = first + token, page = position / page_size, slot = position - page * page_size;
    T* rows = reinterpret_cast<T*>(arguments.pages[page]) + head * page_size * row_stride;
    rows[slot * row_stride + column + c] = source[token * token_stride + head * head_stride + c];
  }
}

}  // namespace

extern "C" __global__ void kv_append_f32(const winnow_kv_append_arguments arguments) { kv_append<float>(arguments); }

extern "C" __global__ void kv_append_f32x4(const winnow_kv_append_arguments arguments) { kv_append<float4>(arguments); }
