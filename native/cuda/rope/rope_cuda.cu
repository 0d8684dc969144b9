// Rotates pair i of each head's rotary part by the angle of its token, see winnow/rope.h; Su et al. 2021,
// arXiv:2104.09864, eq. (34).
//
// Layout   row-major; neighbouring threads have neighbouring pairs. Interleaved pairs are moved as float2 if `values`
//          is a multiple of 8 and head_dim and rotary_offset are even.
// Grid     x: as many blocks as hold a thread per pair, at most what fills the device: each thread strides over them.
//          First those of the first struct, then those of the second.
// Block    any number of threads.
// Memory   reads 16 and writes 8 bytes per pair; the angles of a token stay in L1 for its heads.
// Order    every product is rounded to f32 before the sum: the same bits as on a CPU.
// Needs    num_tokens, num_heads, num_pairs >= 1.
#include <cstdint>

#include "base/linked.cuh"
#include "winnow/rope.h"

namespace {

__device__ __forceinline__ void turn(float& first, float& second, float cos, float sin) {
  const float turned = __fsub_rn(__fmul_rn(first, cos), __fmul_rn(second, sin));
  second = __fadd_rn(__fmul_rn(second, cos), __fmul_rn(first, sin));
  first = turned;
}

}  // namespace

extern "C" __global__ void rope_f32(const winnow_rope_arguments first_values, const winnow_rope_arguments second_values,
                                    const int32_t first_blocks) {
  const winnow::Linked<winnow_rope_arguments> own(first_values, second_values, first_blocks);
  const auto& arguments = own.arguments;
  const float* cos = arguments.cos;
  const float* sin = arguments.sin;
  const int64_t num_heads = arguments.num_heads, num_pairs = arguments.num_pairs;
  const bool interleaved = arguments.interleaved != 0;
  const bool aligned = reinterpret_cast<uint64_t>(arguments.values) % sizeof(float2) == 0 &&
                       (arguments.head_dim | arguments.rotary_offset) % 2 == 0;
  const int64_t size = arguments.num_tokens * num_heads * num_pairs, stride = own.num_blocks * blockDim.x;
  for (int64_t i = own.block * blockDim.x + threadIdx.x; i < size; i += stride) {
    const int64_t row = i / num_pairs, pair = i - row * num_pairs, angle = row / num_heads * num_pairs + pair;
    float* head = arguments.values + row * arguments.head_dim + arguments.rotary_offset;
    if (interleaved && aligned) {
      float2* both = reinterpret_cast<float2*>(head) + pair;
      float2 turned = *both;
      turn(turned.x, turned.y, cos[angle], sin[angle]);
      *both = turned;
    } else {
      float* first = head + (interleaved ? 2 * pair : pair);
      float* second = first + (interleaved ? 1 : num_pairs);
      float a = *first, b = *second;
      turn(a, b, cos[angle], sin[angle]);
      *first = a;
      *second = b;
    }
  }
}
