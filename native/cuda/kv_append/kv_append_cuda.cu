// Row p = *cache_length + t of head h in the pages gets source row (t, h) as element, see winnow/kv_append.h.
//
// Layout   rows. Neighbouring threads move neighbouring columns, x4 kernels four at once.
// Grid     x: as many blocks as hold a thread per element, at most what fills the device: each thread strides over
//          them. First those of the first struct, then those of the second. It does not depend on the position, which lies in device memory: a captured launch can be replayed at
//          the next one.
// Block    any number of threads.
// Memory   reads 4 bytes and writes sizeof(element) per element, and reads a page address per row.
// Order    no arithmetic but rounding, to nearest even.
// Needs    num_tokens, num_heads, width >= 1; page addresses in device memory, all pages present; for x4 a source at a
//          multiple of 16 bytes, and a width that is a multiple of 4.
#include <cstdint>

#include "base/element.cuh"
#include "base/linked.cuh"
#include "winnow/kv_append.h"

namespace winnow {

// ELEMENTS of type T, written at once.
template <typename T, int ELEMENTS>
struct alignas(sizeof(T) * ELEMENTS) Pack {
  T elements[ELEMENTS];
};

template <typename T, int ELEMENTS>
__device__ __forceinline__ void kv_append(const Linked<winnow_kv_append_arguments>& own) {
  const auto& arguments = own.arguments;
  const auto* source = reinterpret_cast<const Pack<float, ELEMENTS>*>(arguments.source);
  const int64_t num_heads = arguments.num_heads, page_size = arguments.page_size, width = arguments.width / ELEMENTS;
  const int64_t first = *arguments.cache_length;
  const int64_t size = arguments.num_tokens * num_heads * width, stride = own.num_blocks * blockDim.x;
  for (int64_t e = own.block * blockDim.x + threadIdx.x; e < size; e += stride) {
    const int64_t row = e / width, c = e - row * width, token = row / num_heads, head = row - token * num_heads;
    const int64_t position = first + token, page = position / page_size, slot = position - page * page_size;
    auto* rows = reinterpret_cast<Pack<T, ELEMENTS>*>(arguments.pages[page]);
    const Pack<float, ELEMENTS> values = source[e];
    Pack<T, ELEMENTS> rounded;
    for (int i = 0; i < ELEMENTS; ++i) rounded.elements[i] = from_f32<T>(values.elements[i]);
    rows[(head * page_size + slot) * width + c] = rounded;
  }
}

}  // namespace winnow

#define WINNOW_KV_APPEND(name, T, elements)                                                                        \
  extern "C" __global__ void name(const winnow_kv_append_arguments first, const winnow_kv_append_arguments second, \
                                  const int32_t first_blocks) {                                                    \
    winnow::kv_append<T, elements>({first, second, first_blocks});                                                 \
  }
WINNOW_KV_APPEND(kv_append_f32, float, 1)
WINNOW_KV_APPEND(kv_append_f32x4, float, 4)
WINNOW_KV_APPEND(kv_append_bf16, winnow::bf16, 1)
WINNOW_KV_APPEND(kv_append_bf16x4, winnow::bf16, 4)
WINNOW_KV_APPEND(kv_append_f16, winnow::f16, 1)
WINNOW_KV_APPEND(kv_append_f16x4, winnow::f16, 4)
