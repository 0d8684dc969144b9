// output[t, i] = table[token_ids[t], i], widened to f32, see winnow/embedding.h.
//
// embedding_check finds the first token id outside the table. embedding_<type> (listed in embedding_kernels.inc) copies
// the rows, but writes nothing if there is such an id. For few ids, every block of embedding_<type> checks all of them
// itself (check_here), which saves a launch.
//
// Layout   row-major. A thread reads 16 bytes at once if rows begin at multiples of 16 bytes, else one element.
// Grid     embedding_check: one block. embedding_<type>: x: token; y: columns, each thread strides over the row.
// Block    any multiple of 32 threads.
// Memory   reads each chosen row once, writes 4 bytes per element.
// Order    no arithmetic; the only atomic is an integer maximum: the same result on every run.
// Needs    num_tokens >= 1, below 2^31; refused[0] must be 0 before the first launch; the host clears it after
//          reporting a wrong id.
#include <cstdint>

#include "base/element.cuh"
#include "embedding/embedding_launch.h"
#include "winnow/embedding.h"

namespace winnow {

namespace {

// The first token with a wrong id among those that this thread checks.
__device__ int32_t first_wrong_of_thread(const winnow_embedding_arguments& arguments) {
  for (int64_t t = threadIdx.x; t < arguments.num_tokens; t += blockDim.x) {
    if (arguments.token_ids[t] < 0 || arguments.token_ids[t] >= arguments.vocabulary_size)
      return static_cast<int32_t>(t);
  }
  return INT32_MAX;
}

template <typename Element>
__device__ void gather(const winnow_embedding_arguments& arguments, const EmbeddingExtras& extras) {
  if (extras.check_here) {
    const int32_t wrong = first_wrong_of_thread(arguments);
    if (wrong != INT32_MAX && blockIdx.x == 0 && blockIdx.y == 0) atomicMax(extras.refused, INT32_MAX - wrong);
    if (__syncthreads_or(wrong != INT32_MAX)) return;
  } else if (extras.refused[1] != 0) {
    return;
  }
  constexpr int64_t kWidth = sizeof(uint4) / sizeof(Element);
  const int64_t token = blockIdx.x;
  const auto* row = static_cast<const Element*>(arguments.table) + arguments.token_ids[token] * arguments.hidden_size;
  float* output = arguments.output + token * arguments.hidden_size;
  const int64_t first = int64_t{blockIdx.y} * blockDim.x + threadIdx.x, stride = int64_t{gridDim.y} * blockDim.x;
  const uint64_t addresses = reinterpret_cast<uint64_t>(row) | reinterpret_cast<uint64_t>(output);
  const int64_t vectors = addresses % sizeof(uint4) == 0 ? arguments.hidden_size / kWidth : 0;
  for (int64_t v = first; v < vectors; v += stride) {
    union {
      uint4 bits;
      Element elements[kWidth];
    } loaded;
    loaded.bits = reinterpret_cast<const uint4*>(row)[v];
    for (int64_t i = 0; i < kWidth; i += 4) {
      *reinterpret_cast<float4*>(output + v * kWidth + i) =
          make_float4(to_f32(loaded.elements[i]), to_f32(loaded.elements[i + 1]), to_f32(loaded.elements[i + 2]),
                      to_f32(loaded.elements[i + 3]));
    }
  }
  for (int64_t i = vectors * kWidth + first; i < arguments.hidden_size; i += stride) output[i] = to_f32(row[i]);
}

}  // namespace

}  // namespace winnow

extern "C" __global__ void __launch_bounds__(winnow::kEmbeddingCheckThreads)
    embedding_check(const winnow_embedding_arguments arguments, const winnow::EmbeddingExtras extras) {
  const int32_t wrong = winnow::first_wrong_of_thread(arguments);
  if (wrong != INT32_MAX) atomicMax(extras.refused, INT32_MAX - wrong);
  const int any_wrong = __syncthreads_or(wrong != INT32_MAX);
  if (threadIdx.x == 0) extras.refused[1] = any_wrong;
}

#define WINNOW_EMBEDDING_KERNEL(name, table_type, ...)                                                                \
  extern "C" __global__ void name(const winnow_embedding_arguments arguments, const winnow::EmbeddingExtras extras) { \
    winnow::gather<winnow::ElementOf<winnow::DType::table_type>>(arguments, extras);                                  \
  }
#include "embedding/embedding_kernels.inc"
