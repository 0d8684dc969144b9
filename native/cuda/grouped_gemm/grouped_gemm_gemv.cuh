// Multiplies one row of a grouped product by a group of its expert's columns: a dot product per column, straight from
// the stored weights. grouped_gemm_cuda.cu describes the kernel and its launch.
#pragma once

#include "base/activation.cuh"
#include "base/element.cuh"
#include "grouped_gemm/grouped_gemm_product.cuh"

namespace winnow {

// Loads 16 bytes of weights. They bypass L1: this block reads them only once, and the input row needs the space.
__device__ __forceinline__ uint4 load_weights(const void* address) {
  uint4 v;
  asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
      : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
      : "l"(__cvta_generic_to_global(address)));
  return v;
}

// Loads kSize elements from an address that is a multiple of 16 bytes, or of 8 if they take only 8 bytes.
template <int kSize, typename T>
__device__ __forceinline__ void load_values(float (&values)[kSize], const T* from) {
  if constexpr (kSize * sizeof(T) < 16) {  // 4 bf16 beside 4 f32 weights
    const uint2 vector = __ldg(reinterpret_cast<const uint2*>(from));
    const float2 low = unpack(vector.x, T{});
    const float2 high = unpack(vector.y, T{});
    values[0] = low.x, values[1] = low.y, values[2] = high.x, values[3] = high.y;
  } else {
    const uint4* vectors = reinterpret_cast<const uint4*>(from);
    constexpr int kStep = 16 / sizeof(T);
#pragma unroll
    for (int i = 0; i < kSize / kStep; ++i) unpack(values + i * kStep, __ldg(vectors + i), T{});
  }
}

template <int kSize>
__device__ __forceinline__ void round_to_bf16(float (&values)[kSize]) {
#pragma unroll
  for (int i = 0; i < kSize; i += 2) {
    const float2 rounded = unpack_bf16(pack_bf16(values[i], values[i + 1]));
    values[i] = rounded.x, values[i + 1] = rounded.y;
  }
}

// sums[i] += this thread's share of rows[i] * input: vectors `thread`, `thread` + `threads`, ... along k. Null rows add
// nothing. The aligned form and the other one add the same products in the same order.
template <typename Decoder, bool kAligned>
__device__ __forceinline__ void add_products(float (&sums)[kDots],
                                             const typename Decoder::Element* const (&rows)[kDots],
                                             const Decoder (&decoders)[kDots], const void* input, DType input_type,
                                             bool rounds_input, int thread, int threads, int size) {
  constexpr int kSize = kVectorBytes / sizeof(typename Decoder::Element);
  for (int64_t k = int64_t{thread} * kSize; k < size; k += threads * kSize) {
    if constexpr (!kAligned) {
#pragma unroll 1
      for (int64_t i = k; i < min(k + kSize, int64_t{size}); ++i) {
        float x = load_element(input, input_type, i);
        if (rounds_input) x = to_f32(from_f32<bf16>(x));
#pragma unroll
        for (int j = 0; j < kDots; ++j)
          if (rows[j] != nullptr) sums[j] = __fmaf_rn(x, decoders[j].at(rows[j][i]), sums[j]);
      }
    } else {
      uint4 vectors[kDots];
#pragma unroll
      for (int i = 0; i < kDots; ++i)
        vectors[i] = rows[i] == nullptr ? make_uint4(0, 0, 0, 0) : load_weights(rows[i] + k);
      float x[kSize];
      if (input_type == DType::f32)
        load_values(x, static_cast<const float*>(input) + k);
      else
        load_values(x, static_cast<const bf16*>(input) + k);
      if (rounds_input) round_to_bf16(x);
#pragma unroll
      for (int i = 0; i < kDots; ++i) {
        float weights[kSize];
        decoders[i].vector(weights, vectors[i]);
#pragma unroll
        for (int j = 0; j < kSize; ++j) sums[i] = __fmaf_rn(x[j], weights[j], sums[i]);
      }
    }
  }
}

template <WeightFormat kFormat>
__device__ __forceinline__ void add_products(float (&sums)[kDots], const Product& op, int threads_per_dot,
                                             int expert_id, const Expert& expert, int64_t source_row, int first_column,
                                             int thread) {
  using Decoder = WeightDecoder<kFormat>;
  using Weight = typename Decoder::Element;
  const int columns = op.is_gated() ? kDots / 2 : kDots;
  const Weight* rows[kDots];
  Decoder decoders[kDots];
#pragma unroll
  for (int i = 0; i < kDots; ++i) {
    const bool is_up = i >= columns;
    const int column = first_column + (is_up ? i - columns : i);
    const auto* matrix = static_cast<const Weight*>(is_up ? expert.up : expert.weight);
    rows[i] = column < op.output_size ? matrix + int64_t{column} * op.input_size : nullptr;
    if (column < op.output_size)
      decoders[i] = row_decoder<kFormat>(op, is_up ? op.up_weights : op.weights, expert_id, column);
  }
  const int64_t input_element_bytes = op.input_type == DType::f32 ? sizeof(float) : sizeof(bf16);
  const auto* input = static_cast<const uint8_t*>(op.input) + source_row * op.input_size * input_element_bytes;
  const uint64_t addresses = reinterpret_cast<uint64_t>(expert.weight) | reinterpret_cast<uint64_t>(expert.up) |
                             reinterpret_cast<uint64_t>(input) | op.input_size * sizeof(Weight);
  if (addresses % 16 == 0)
    add_products<Decoder, true>(sums, rows, decoders, input, op.input_type, op.rounds_input(), thread, threads_per_dot,
                                op.input_size);
  else
    add_products<Decoder, false>(sums, rows, decoders, input, op.input_type, op.rounds_input(), thread, threads_per_dot,
                                 op.input_size);
}

// Sums each value over the warp, in a fixed tree. A lane gets the sum of value lane / 4. Each of the first three
// exchanges halves the number of values in a lane, so 9 shuffles are enough; eight separate sums would take 40.
__device__ __forceinline__ float sum_over_warp(float (&values)[kDots], int lane) {
  static_assert(kDots == 8, "three exchanges, then four lanes hold a value");
#pragma unroll
  for (int distance = kWarpSize / 2, half = kDots / 2; half > 0; distance /= 2, half /= 2) {
    const bool keeps_upper = lane & distance;
#pragma unroll
    for (int i = 0; i < half; ++i) {
      const float sent = keeps_upper ? values[i] : values[i + half];
      const float kept = keeps_upper ? values[i + half] : values[i];
      values[i] = kept + __shfl_xor_sync(kAllLanes, sent, distance);
    }
  }
  float sum = values[0];
  sum += __shfl_xor_sync(kAllLanes, sum, 2);
  return sum + __shfl_xor_sync(kAllLanes, sum, 1);
}

// Block `block` of a product: row block % num_rows, column group block / num_rows. Blocks that run at the same time
// then read the same matrices.
__device__ __forceinline__ void multiply_row(const Product& op, int threads_per_dot, int block) {
  __shared__ float partial_sums[kGemvWarps][kDots];
  require_f32_or_bf16(op.input_type);
  require_f32_or_bf16(op.output_type);
  const int lane = threadIdx.x % kWarpSize;
  const int warp = threadIdx.x / kWarpSize;
  const int row = block % op.num_rows;
  const int group = block / op.num_rows;
  const int64_t source_row = op.source_row(row);
  const int expert_id = find_expert(op, row, lane);
  if (expert_id < 0) return;  // the same in every thread
  const Expert expert(op, expert_id);
  const bool is_resident = expert.is_resident(op.is_gated());

  const bool is_split = threads_per_dot == kGemvThreads;
  const int columns = op.is_gated() ? kDots / 2 : kDots;  // of a warp
  const int first_column = (is_split ? group : group * kGemvWarps + warp) * columns;
  float sums[kDots] = {};
  if (is_resident && first_column < op.output_size) {
    const int thread = is_split ? threadIdx.x : lane;
    switch (op.weight_format) {
#define WINNOW_WEIGHT_FORMAT(name, ...)                                                                               \
  case WeightFormat::name:                                                                                            \
    add_products<WeightFormat::name>(sums, op, threads_per_dot, expert_id, expert, source_row, first_column, thread); \
    break;
#include "winnow/base/weight_formats.inc"
#undef WINNOW_WEIGHT_FORMAT
      default:
        __trap();  // the launch refuses it
    }
  }
  const float sum = sum_over_warp(sums, lane);
  if (lane % 4 == 0) partial_sums[warp][lane / 4] = sum;
  __syncthreads();
  const int column = first_column + lane;
  if ((is_split && warp > 0) || lane >= columns || column >= op.output_size) return;
  const auto sum_of = [&](int i) {
    return is_split ? (partial_sums[0][i] + partial_sums[1][i]) + (partial_sums[2][i] + partial_sums[3][i])
                    : partial_sums[warp][i];
  };
  float value = sum_of(lane);
  if (expert.bias != nullptr) value += expert.bias[column];
  if (op.is_gated()) {
    float up = sum_of(columns + lane);
    if (expert.up_bias != nullptr) up += expert.up_bias[column];
    value = activate(op.activation, value, up);
  } else {
    value = activate(op.activation, value);
  }
  if (!is_resident) value = kNoWeights;
  store_element(op.output, op.output_type, int64_t{row} * op.output_size + column, value);
}

}  // namespace winnow
