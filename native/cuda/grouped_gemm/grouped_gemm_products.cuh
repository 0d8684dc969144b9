// The two ways in which a block multiplies a stage: tensor cores for bf16 weights, f32 multiply-adds for the others. In
// both, kTileThreads threads hold the sums of BLOCK_M by kTileWeightRows in registers.
#pragma once

#include "base/matrix.cuh"
#include "grouped_gemm/grouped_gemm_tile.cuh"

namespace winnow {

// Two by two warps. Each computes 32 rows by 64 rows of weights (gated: 32 of the gate and the same 32 of up), in
// pieces of 16 by 8. For a product in f32, an f32 input is split into three bf16 when its fragment is made: three
// multiplications, all exact, so the sum is f32 arithmetic on the stored values. A separate kernel for the split would
// need memory and a launch. Here the split (60 operations beside 24 products) runs while the tensor cores are busy. For
// a product in bf16, it is rounded there instead.
template <typename Input, DType kProduct, bool kGated>
struct TensorProducts {
  static constexpr int kRowPieces = 2;
  static constexpr int kColumnPieces = 8;
  static constexpr int kParts = kProduct == DType::f32 ? 3 : 1;
  static constexpr int kInputRowBytes = BLOCK_K * sizeof(Input);
  static constexpr int kWeightRowBytes = BLOCK_K * sizeof(bf16);

  float sums[kRowPieces][kColumnPieces][4] = {};

  template <typename DecoderOf>
  __device__ __forceinline__ void begin(DecoderOf) {}  // bf16 as it is stored

  static __device__ __forceinline__ int lane() { return threadIdx.x % kWarpSize; }
  static __device__ __forceinline__ int first_row(int piece) { return threadIdx.x / kWarpSize / 2 * 32 + piece * 16; }
  static __device__ __forceinline__ int first_weight_row(int piece) {
    const int half = threadIdx.x / kWarpSize % 2;
    if (!kGated) return half * 64 + piece * 8;
    return piece < kColumnPieces / 2 ? half * 32 + piece * 8 : 64 + half * 32 + (piece - kColumnPieces / 2) * 8;
  }

  // parts[last] is the largest: small values are added first.
  static __device__ __forceinline__ void load_rows(uint32_t (&parts)[kParts][4], const uint8_t* inputs, int piece,
                                                   int step) {
    const int row = first_row(piece);
    if constexpr (sizeof(Input) == sizeof(bf16)) {
      load_matrices(parts[0],
                    shared_address(inputs) + chunk_offset<kInputRowBytes>(row + lane() % 16, step * 2 + lane() / 16));
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int g = lane() / 4 + i % 2 * 8;
        const int t = lane() % 4;
        const uint32_t chunk = chunk_offset<kInputRowBytes>(row + g, step * 4 + i / 2 * 2 + t / 2);
        const float2 pair = *reinterpret_cast<const float2*>(inputs + chunk + t % 2 * 8);
        if constexpr (kParts == 3)
          split_to_bf16(pair.x, pair.y, parts[2][i], parts[1][i], parts[0][i]);
        else
          parts[0][i] = pack_bf16(pair.x, pair.y);
      }
    }
  }

  __device__ __forceinline__ void add(const uint8_t* inputs, const uint8_t* weights) {
#pragma unroll
    for (int step = 0; step < BLOCK_K / 16; ++step) {
      uint32_t rows[kRowPieces][kParts][4];
#pragma unroll
      for (int i = 0; i < kRowPieces; ++i) load_rows(rows[i], inputs, i, step);
#pragma unroll
      for (int j = 0; j < kColumnPieces; j += 2) {
        const int row = first_weight_row(j) + lane() % 8 + lane() / 16 * 8;
        uint32_t b[4];  // pieces j and j + 1
        load_matrices(b, shared_address(weights) + chunk_offset<kWeightRowBytes>(row, step * 2 + lane() / 8 % 2));
#pragma unroll
        for (int part = 0; part < kParts; ++part) {
#pragma unroll
          for (int i = 0; i < kRowPieces; ++i) {
            multiply_add_bf16(sums[i][j], rows[i][part], b[0], b[1]);
            multiply_add_bf16(sums[i][j + 1], rows[i][part], b[2], b[3]);
          }
        }
      }
    }
  }

  __device__ __forceinline__ void store(float* to) const {
    const int g = lane() / 4;
    const int t = lane() % 4;
#pragma unroll
    for (int i = 0; i < kRowPieces; ++i) {
#pragma unroll
      for (int j = 0; j < kColumnPieces; ++j) {
        float* first = to + (first_row(i) + g) * kSumsStride + first_weight_row(j) + 2 * t;
        *reinterpret_cast<float2*>(first) = make_float2(sums[i][j][0], sums[i][j][1]);
        *reinterpret_cast<float2*>(first + 8 * kSumsStride) = make_float2(sums[i][j][2], sums[i][j][3]);
      }
    }
  }
};

// Thread (m, n) of 8 by 16 computes rows m, m + 8, ... by rows of weights n, n + 16, ...: 8 by 8 sums. A sum is one
// chain of multiply-adds, k ascending.
template <typename Input, DType kProduct, WeightFormat kFormat>
struct ScalarProducts {
  using Decoder = WeightDecoder<kFormat>;
  static constexpr int kRows = 8;
  static constexpr int kRowThreads = BLOCK_M / kRows;
  static constexpr int kWeightThreads = kTileThreads / kRowThreads;
  static constexpr int kWeights = kTileWeightRows / kWeightThreads;

  float sums[kRows][kWeights] = {};
  Decoder decoders[kWeights];

  // decoder_of(weight_row) returns the decoder of a row of weights in the stages.
  template <typename DecoderOf>
  __device__ __forceinline__ void begin(DecoderOf decoder_of) {
#pragma unroll
    for (int j = 0; j < kWeights; ++j) decoders[j] = decoder_of(n() + j * kWeightThreads);
  }

  static __device__ __forceinline__ int m() { return threadIdx.x / kWeightThreads; }
  static __device__ __forceinline__ int n() { return threadIdx.x % kWeightThreads; }

  // Elements 4 * step to 4 * step + 3 of a row.
  template <typename RowDecoder>
  static __device__ __forceinline__ float4 load(const RowDecoder& decoder, const uint8_t* rows, int row, int step) {
    constexpr int kBytes = 4 * sizeof(typename RowDecoder::Element);
    constexpr int kSteps = 16 / kBytes;  // in a chunk
    const uint8_t* chunk = rows + chunk_offset<BLOCK_K / 4 * kBytes>(row, step / kSteps);
    return decoder.four(chunk + step % kSteps * kBytes);
  }

  __device__ __forceinline__ void add(const uint8_t* inputs, const uint8_t* weights) {
#pragma unroll 1
    for (int step = 0; step < BLOCK_K / 4; ++step) {
      float4 w[kWeights];
#pragma unroll
      for (int j = 0; j < kWeights; ++j) w[j] = load(decoders[j], weights, n() + j * kWeightThreads, step);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        float4 x = load(PlainDecoder<Input>(), inputs, m() + i * kRowThreads, step);
        if constexpr (sizeof(Input) == sizeof(float) && kProduct == DType::bf16) {
          const float2 first = unpack_bf16(pack_bf16(x.x, x.y));
          const float2 second = unpack_bf16(pack_bf16(x.z, x.w));
          x = make_float4(first.x, first.y, second.x, second.y);
        }
#pragma unroll
        for (int j = 0; j < kWeights; ++j) {
          sums[i][j] = __fmaf_rn(x.x, w[j].x, sums[i][j]);
          sums[i][j] = __fmaf_rn(x.y, w[j].y, sums[i][j]);
          sums[i][j] = __fmaf_rn(x.z, w[j].z, sums[i][j]);
          sums[i][j] = __fmaf_rn(x.w, w[j].w, sums[i][j]);
        }
      }
    }
  }

  __device__ __forceinline__ void store(float* to) const {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int j = 0; j < kWeights; ++j)
        to[(m() + i * kRowThreads) * kSumsStride + n() + j * kWeightThreads] = sums[i][j];
    }
  }
};

}  // namespace winnow
