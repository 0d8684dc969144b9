// The steps of a tile product that do not depend on how it multiplies: which rows it takes, how it fills shared memory,
// the pipeline along k, and what it stores.
//
// A block computes BLOCK_M rows of one expert by 128 rows of weights: 128 output columns, or 64 if gated (64 rows of
// the gate, then the 64 of up). A stage in shared memory holds BLOCK_K elements of each of these rows. A row has 32, 64
// or 128 bytes, in chunks of 16. Chunks change places within their row, so that these accesses have no bank conflict: 8
// rows at the same chunk (ldmatrix, 16 bytes per lane), 4 rows at two chunks (8 bytes per lane) and, if rows have 32
// bytes, 8 rows at the same 4 bytes of a chunk.
#pragma once

#include "base/activation.cuh"
#include "base/async_copy.cuh"
#include "base/element.cuh"
#include "grouped_gemm/grouped_gemm_product.cuh"

namespace winnow {

constexpr int BLOCK_M = kTileRows;
constexpr int BLOCK_K = kTileDepth;
constexpr int kSumsStride = kTileWeightRows + 8;  // f32 in a row of sums: 4 rows of 8 neighbours then lie in 32 banks

template <bool kGated>
constexpr int BLOCK_N = kGated ? kTileWeightRows / 2 : kTileWeightRows;

// Byte offset of a chunk in its stage.
template <int kRowBytes>
__device__ __forceinline__ uint32_t chunk_offset(int row, int chunk) {
  static_assert(kRowBytes == 32 || kRowBytes == 64 || kRowBytes == 128, "BLOCK_K elements of 1, 2 or 4 bytes");
  const int exchange = kRowBytes == 32   ? row >> 2 & 1
                       : kRowBytes == 64 ? (row >> 1) & 3
                                         : (row & 3) << 1 | (row >> 2 & 1);
  return row * kRowBytes + ((chunk ^ exchange) << 4);
}

template <typename Input, typename Weight, int kStages>
struct TileShared {
  static constexpr int kInputRowBytes = BLOCK_K * sizeof(Input);
  static constexpr int kWeightRowBytes = BLOCK_K * sizeof(Weight);
  static constexpr int kInputBytes = BLOCK_M * kInputRowBytes;
  static constexpr int kStageBytes = kInputBytes + kTileWeightRows * kWeightRowBytes;
  static constexpr int kSumsBytes = BLOCK_M * kSumsStride * sizeof(float);
  static constexpr int kBytes = kStages * kStageBytes > kSumsBytes ? kStages* kStageBytes : kSumsBytes;
};

// This thread's part of filling kRows rows of a stage: the same chunk of every (kTileThreads / chunks)-th row.
template <typename T, int kRows>
struct RowCopies {
  static constexpr int kRowBytes = BLOCK_K * sizeof(T);
  static constexpr int kChunks = kRowBytes / 16;
  static constexpr int kChunkElements = 16 / sizeof(T);
  static constexpr int kRowStep = kTileThreads / kChunks;
  static constexpr int kCopies = kRows / kRowStep;

  const T* any_row;  // an address for copies that read nothing
  bool is_aligned;   // of every row and of the rows' length

  static __device__ int row(int copy) { return threadIdx.x / kChunks + copy * kRowStep; }

  // address_of(copy) returns the row, or null past the last row, where zeros are written.
  template <typename AddressOf>
  __device__ __forceinline__ void issue(uint32_t stage, int k, int size, AddressOf address_of) const {
    const int chunk = threadIdx.x % kChunks;
    const int first = k + chunk * kChunkElements;
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      const uint32_t to = stage + chunk_offset<kRowBytes>(row(i), chunk);
      const T* from = address_of(i);
      const bool reads = from != nullptr && first < size;
      if (is_aligned)
        copy_async_16(to, reads ? from + first : any_row, reads ? 16 : 0);
      else
        copy_elements(to, from, reads ? min(size - first, kChunkElements) : 0, first);
    }
  }

  static __device__ __forceinline__ void store_bits(uint32_t to, T element) {
    if constexpr (sizeof(T) == 4) {
      asm volatile("st.shared.f32 [%0], %1;" ::"r"(to), "f"(element) : "memory");
    } else {
      uint16_t bits = 0;
      memcpy(&bits, &element, sizeof(T));
      if constexpr (sizeof(T) == 2)
        asm volatile("st.shared.u16 [%0], %1;" ::"r"(to), "h"(bits) : "memory");
      else
        asm volatile("st.shared.u8 [%0], %1;" ::"r"(to), "h"(bits) : "memory");
    }
  }

  static __device__ __forceinline__ void copy_elements(uint32_t to, const T* row, int count, int first) {
#pragma unroll 1
    for (int i = 0; i < kChunkElements; ++i) {
      const T element = i < count ? row[first + i] : T{};
      store_bits(to + i * static_cast<uint32_t>(sizeof(T)), element);
    }
  }
};

// Adds biases to the sums in shared memory, applies the activation, rounds and stores. Neighbouring threads take
// neighbouring columns.
template <bool kGated>
__device__ __forceinline__ void store_tile(const Product& op, const Expert& expert, const RowTile& tile,
                                           int first_column, const float* sums) {
  constexpr int kColumns = BLOCK_N<kGated>;
  const int column = threadIdx.x % kColumns;
  const int output_column = first_column + column;
  if (output_column >= op.output_size) return;
  const float bias = expert.bias == nullptr ? 0.0f : expert.bias[output_column];
  const float up_bias = expert.up_bias == nullptr ? 0.0f : expert.up_bias[output_column];
  for (int r = threadIdx.x / kColumns; r < tile.num_rows; r += kTileThreads / kColumns) {
    const float gate = sums[r * kSumsStride + column] + bias;
    const float value = kGated ? activate(op.activation, gate, sums[r * kSumsStride + kColumns + column] + up_bias)
                               : activate(op.activation, gate);
    const int64_t index = int64_t{tile.first_row + r} * op.output_size + output_column;
    store_element(op.output, op.output_type, index, value);
  }
}

template <bool kGated>
__device__ __forceinline__ void store_no_weights(const Product& op, const RowTile& tile, int first_column) {
  const int column = first_column + threadIdx.x % BLOCK_N<kGated>;
  if (column >= op.output_size) return;
  for (int r = threadIdx.x / BLOCK_N<kGated>; r < tile.num_rows; r += kTileThreads / BLOCK_N<kGated>)
    store_element(op.output, op.output_type, int64_t{tile.first_row + r} * op.output_size + column, kNoWeights);
}

// Computes tile of rows blockIdx.x by columns blockIdx.y. Products holds the sums in registers. It gets
// begin(decoder_of), then add(input, weights) per stage, with addresses in the stage, then store(sums).
template <typename Input, WeightFormat kFormat, bool kGated, int kStages, typename Products>
__device__ __forceinline__ void multiply_tile(const winnow_grouped_gemm_arguments& arguments) {
  using Weight = typename WeightDecoder<kFormat>::Element;
  static_assert(
      WeightFormatTraits<kFormat>::kBlockElements == 1 && WeightFormatTraits<kFormat>::kBlockBytes == sizeof(Weight),
      "stages hold single elements");
  const Product op(arguments);
  require_f32_or_bf16(op.output_type);
  using Shared = TileShared<Input, Weight, kStages>;
  __shared__ __align__(128) uint8_t shared[Shared::kBytes];
  const RowTile tile = find_row_tile<BLOCK_M>(op, blockIdx.x, threadIdx.x % kWarpSize);
  if (tile.num_rows <= 0) return;  // the same in every thread
  const Expert expert(op, tile.expert);
  const int first_column = blockIdx.y * BLOCK_N<kGated>;
  if (!expert.is_resident(kGated)) {
    store_no_weights<kGated>(op, tile, first_column);
    return;
  }
  const int64_t size = op.input_size;

  using Inputs = RowCopies<Input, BLOCK_M>;
  const auto* input = static_cast<const Input*>(op.input);
  const Inputs inputs{input, (reinterpret_cast<uint64_t>(input) | size * sizeof(Input)) % 16 == 0};
  const Input* input_rows[Inputs::kCopies];
#pragma unroll
  for (int i = 0; i < Inputs::kCopies; ++i) {
    const int r = Inputs::row(i);
    input_rows[i] = r < tile.num_rows ? input + op.source_row(tile.first_row + r) * size : nullptr;
  }
  using Weights = RowCopies<Weight, kTileWeightRows>;
  const int column = first_column + Weights::row(0);
  const auto* weight_row = static_cast<const Weight*>(expert.weight) + column * size;
  const auto* up_row = static_cast<const Weight*>(expert.up) + column * size;
  const uint64_t alignment = reinterpret_cast<uint64_t>(expert.weight) | reinterpret_cast<uint64_t>(expert.up);
  const Weights weights{static_cast<const Weight*>(expert.weight), (alignment | size * sizeof(Weight)) % 16 == 0};
  const auto weight_row_of = [&](int copy) {
    const bool is_up = kGated && copy * Weights::kRowStep >= BLOCK_N<kGated>;
    const int columns = copy * Weights::kRowStep - (is_up ? BLOCK_N<kGated> : 0);
    return column + columns < op.output_size ? (is_up ? up_row : weight_row) + columns * size : nullptr;
  };

  // A stage is refilled after a barrier that a thread reaches only when it has multiplied that stage.
  const uint32_t stages = shared_address(shared);
  const int num_steps = (op.input_size + BLOCK_K - 1) / BLOCK_K;
  const auto fill = [&](int step) {
    if (step < num_steps) {
      const uint32_t stage = stages + step % kStages * Shared::kStageBytes;
      inputs.issue(stage, step * BLOCK_K, op.input_size, [&](int copy) { return input_rows[copy]; });
      weights.issue(stage + Shared::kInputBytes, step * BLOCK_K, op.input_size, weight_row_of);
    }
    commit_copies();  // an empty group too, so that the number to wait for stays the same
  };
  Products products;
  products.begin([&](int weight_row) {
    const bool is_up = kGated && weight_row >= BLOCK_N<kGated>;
    const int row = first_column + weight_row - (is_up ? BLOCK_N<kGated> : 0);
    return row < op.output_size ? row_decoder<kFormat>(op, is_up ? op.up_weights : op.weights, tile.expert, row)
                                : WeightDecoder<kFormat>();
  });
#pragma unroll 1
  for (int step = 0; step < kStages - 1; ++step) fill(step);
#pragma unroll 1
  for (int step = 0; step < num_steps; ++step) {
    wait_copies<kStages - 2>();
    __syncthreads();
    fill(step + kStages - 1);
    __syncwarp();  // copies element by element take lanes apart; tensor cores need them together
    const uint8_t* stage = shared + step % kStages * Shared::kStageBytes;
    products.add(stage, stage + Shared::kInputBytes);
  }
  wait_copies<0>();
  __syncthreads();  // the sums take the place of the stages
  products.store(reinterpret_cast<float*>(shared));
  __syncthreads();
  store_tile<kGated>(op, expert, tile, first_column, reinterpret_cast<const float*>(shared));
}

}  // namespace winnow
