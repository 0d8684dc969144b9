// Turns pair i of a head's rotary part by the angle of its token, see winnow/rope.h; Su et al. 2021, arXiv:2104.09864, eq. (34).
//
// Layout   row-major; neighbouring threads have neighbouring pairs, of the interleaved layout as float2 while `values` is a multiple of 8 and head_dim and
//          rotary_offset are even (`aligned`).
// Grid     x: as many blocks as hold a thread per pair, at most what fills the device: each thread strides over the grid.
// Block    any number of threads.
// Memory   reads 16 and writes 8 bytes per pair; the angles of a token stay in L1 for its heads.
// Order    every product is rounded to f32 before the sum: the same bits as on a CPU.
// Needs    num_tokens, num_heads, num_pairs >= 1.
#include <cstdint>

namespace {

__device__ __forceinline__ void turn(float& first, float& second, float cos, float sin) {
  const float turned = __fsub_rn(__fmul_rn(first, cos), __fmul_rn(second, sin));
  second = __fadd_rn(__fmul_rn(second, cos), __fmul_rn(first, sin));
  first = turned;
}

}  // namespace

extern "C" __global__ void rope_f32(float* values,     // [num_tokens, num_heads, head_dim]
                                    const float* cos,  // [num_tokens, num_pairs]
                                    const float* sin,  // likewise
                                    int64_t num_tokens, int64_t num_heads, int64_t head_dim, int64_t rotary_offset,
                                    int64_t num_pairs, int32_t interleaved, int32_t aligned) {
  const int64_t size = num_tokens * num_heads * num_pairs, stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < size; i += stride) {
    const int64_t row = i / num_pairs, pair = i - row * num_pairs, angle = row / num_heads * num_pairs + pair;
    float* head = values + row * head_dim + rotary_offset;
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
