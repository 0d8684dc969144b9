// output[t, i] = sum_p routing_weights[p] * expert_output[assignment_rows[p], i]
//                + sigmoid(shared_gate_logits[t]) * shared[t, i]
// over the pairs p of token t, see winnow/moe_combine.h.
//
// Layout   row-major. A thread has four columns if hidden_size is a multiple of 4 and all rows are aligned to 16 bytes,
//          else one.
// Grid     x: token; y: columns, each thread strides over the row.
// Block    any number of threads.
// Memory   reads every expert row and the shared row once with 128-bit loads, writes the output once.
// Order    ascending order of p, the shared term last. Each product and sum is rounded, never contracted. No atomics.
//          The bits are those of the CPU.
// Needs    num_tokens and hidden_size >= 1, num_tokens below 2^31. Contents of the indices are trusted.
#include <cstdint>

#include "base/element.cuh"
#include "base/exponential_f64.cuh"
#include "winnow/moe_combine.h"

namespace winnow {

namespace {

__device__ float plus_scaled(float sum, float weight, float value) { return __fadd_rn(sum, __fmul_rn(weight, value)); }

__device__ float4 plus_scaled(float4 sum, float weight, float4 value) {
  return make_float4(plus_scaled(sum.x, weight, value.x), plus_scaled(sum.y, weight, value.y),
                     plus_scaled(sum.z, weight, value.z), plus_scaled(sum.w, weight, value.w));
}

__device__ void store(float* output, float value) { *output = value; }
__device__ void store(float* output, float4 value) { *reinterpret_cast<float4*>(output) = value; }
__device__ void store(bf16* output, float value) { *output = from_f32<bf16>(value); }
__device__ void store(bf16* output, float4 value) {
  *reinterpret_cast<uint2*>(output) = make_uint2(pack_bf16(value.x, value.y), pack_bf16(value.z, value.w));
}

// Value: float or float4, what one thread adds up at a time.
template <typename Value, typename Output>
__device__ void combine_columns(const winnow_moe_combine_arguments& arguments, int64_t token, float gate) {
  constexpr int64_t kWidth = sizeof(Value) / sizeof(float);
  const int32_t begin = arguments.token_offsets[token], end = arguments.token_offsets[token + 1];
  const int64_t stride = int64_t{gridDim.y} * blockDim.x * kWidth;
  for (int64_t column = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * kWidth; column < arguments.hidden_size;
       column += stride) {
    Value sum = {};
    for (int32_t p = begin; p < end; ++p) {
      const float* row = arguments.expert_output + arguments.assignment_rows[p] * arguments.hidden_size;
      sum = plus_scaled(sum, arguments.routing_weights[p], *reinterpret_cast<const Value*>(row + column));
    }
    if (arguments.shared != nullptr) {
      const float* row = arguments.shared + token * arguments.hidden_size;
      sum = plus_scaled(sum, gate, *reinterpret_cast<const Value*>(row + column));
    }
    store(static_cast<Output*>(arguments.output) + token * arguments.hidden_size + column, sum);
  }
}

template <typename Output>
__device__ void combine(const winnow_moe_combine_arguments& arguments) {
  __shared__ float shared_gate;
  const int64_t token = blockIdx.x;
  if (threadIdx.x == 0)
    shared_gate = arguments.shared_gate_logits == nullptr ? 1 : sigmoid_f64(arguments.shared_gate_logits[token]);
  __syncthreads();
  const uint64_t addresses = reinterpret_cast<uint64_t>(arguments.expert_output) |
                             reinterpret_cast<uint64_t>(arguments.shared) |
                             reinterpret_cast<uint64_t>(arguments.output);
  if (arguments.hidden_size % 4 == 0 && addresses % sizeof(float4) == 0) {
    combine_columns<float4, Output>(arguments, token, shared_gate);
  } else {
    combine_columns<float, Output>(arguments, token, shared_gate);
  }
}

}  // namespace

}  // namespace winnow

#define WINNOW_MOE_COMBINE_KERNEL(name, output_type, ...)                         \
  extern "C" __global__ void name(const winnow_moe_combine_arguments arguments) { \
    winnow::combine<winnow::ElementOf<winnow::DType::output_type>>(arguments);    \
  }
#include "moe_combine/moe_combine_kernels.inc"
