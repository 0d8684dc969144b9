// Dot products with rows of weights, and sums of rows, for one instruction set: that of the including file.
//
// A packed vector has its elements in the order in which the format's decoder gives weights, padded with zeros to whole
// steps. Both loops below take 2 vectors of weights per step.
#pragma once

#include <algorithm>

#include "base/weight_decoders.h"
#include "base/weight_rows.h"

namespace winnow {

namespace {

#if defined(__AVX512F__)
constexpr int64_t kTokensAtOnce = 4;  // 16 of 32 registers accumulate
inline F32Vector zero() { return _mm512_setzero_ps(); }
inline F32Vector set1(float value) { return _mm512_set1_ps(value); }
inline F32Vector add(F32Vector a, F32Vector b) { return _mm512_add_ps(a, b); }
inline F32Vector multiply_add(F32Vector a, F32Vector b, F32Vector c) { return _mm512_fmadd_ps(a, b, c); }
inline void store_f32(float* to, F32Vector value) { _mm512_storeu_ps(to, value); }
#elif defined(__AVX2__)
constexpr int64_t kTokensAtOnce = 2;  // 8 of 16 registers accumulate
inline F32Vector zero() { return _mm256_setzero_ps(); }
inline F32Vector set1(float value) { return _mm256_set1_ps(value); }
inline F32Vector add(F32Vector a, F32Vector b) { return _mm256_add_ps(a, b); }
inline F32Vector multiply_add(F32Vector a, F32Vector b, F32Vector c) { return _mm256_fmadd_ps(a, b, c); }
inline void store_f32(float* to, F32Vector value) { _mm256_storeu_ps(to, value); }
#else
constexpr int64_t kTokensAtOnce = 2;
inline F32Vector zero() { return _mm_setzero_ps(); }
inline F32Vector set1(float value) { return _mm_set1_ps(value); }
inline F32Vector add(F32Vector a, F32Vector b) { return _mm_add_ps(a, b); }
inline F32Vector multiply_add(F32Vector a, F32Vector b, F32Vector c) { return _mm_add_ps(c, _mm_mul_ps(a, b)); }
inline void store_f32(float* to, F32Vector value) { _mm_storeu_ps(to, value); }
#endif

// Lanes i and i + n/2 first, then halves again.
inline float sum_of_lanes(F32Vector vector) {
  float lanes[kF32Lanes];
  store_f32(lanes, vector);
  for (int half = kF32Lanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

template <typename Format>
struct RowsOf {
  using Row = typename Format::Row;
  using Element = std::remove_pointer_t<Row>;

  // The position of an element in a packed vector.
  static int64_t packed_index(int64_t i) {
    const int64_t step = i / kF32Step, in_step = i % kF32Step;
    for (int v = 0; v < 2; ++v) {
      for (int lane = 0; lane < kF32Lanes; ++lane) {
        if (Format::index(v, lane) == in_step) return step * kF32Step + v * kF32Lanes + lane;
      }
    }
    return -1;
  }

  static void pack(const float* from, int64_t size, float* packed) {
    std::fill(packed, packed + (size + kF32Step - 1) / kF32Step * kF32Step, 0.0f);
    int64_t order[kF32Step];
    for (int64_t i = 0; i < kF32Step; ++i) order[i] = packed_index(i);
    for (int64_t i = 0; i < size; ++i) packed[i / kF32Step * kF32Step + order[i % kF32Step]] = from[i];
  }

  static void unpack(const float* packed, int64_t size, float* to) {
    int64_t order[kF32Step];
    for (int64_t i = 0; i < kF32Step; ++i) order[i] = packed_index(i);
    for (int64_t i = 0; i < size; ++i) to[i] = packed[i / kF32Step * kF32Step + order[i % kF32Step]];
  }

  // Four sums per token: those of even and odd steps, for each of a step's two vectors.
  template <int kTokens>
  static void dot_tokens(const char* row, const char* next, const float* const* packed, int64_t size, float* sums) {
    const auto weights = reinterpret_cast<Row>(row);
    F32Vector partial[kTokens][4];
    for (auto& of_token : partial) {
      for (auto& sum : of_token) sum = zero();
    }
    const auto multiply_step = [&](int64_t step, F32Vector first, F32Vector second, int parity) {
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t) {
        const float* at = packed[t] + step * kF32Step;
        partial[t][2 * parity] = multiply_add(first, load_f32(at), partial[t][2 * parity]);
        partial[t][2 * parity + 1] = multiply_add(second, load_f32(at + kF32Lanes), partial[t][2 * parity + 1]);
      }
    };
    const auto request = [&](int64_t step) {
      constexpr int64_t kStepBytes = kF32Step * int64_t{sizeof(Element)};
#pragma GCC unroll 4
      for (int64_t line = 0; line < kStepBytes; line += 64) _mm_prefetch(next + step * kStepBytes + line, _MM_HINT_T1);
    };
    const int64_t whole = size / kF32Step;
    int64_t step = 0;
    for (; step + 2 <= whole; step += 2) {
      request(step);
      multiply_step(step, Format::template weights<0>(weights, step), Format::template weights<1>(weights, step), 0);
      request(step + 1);
      multiply_step(step + 1, Format::template weights<0>(weights, step + 1),
                    Format::template weights<1>(weights, step + 1), 1);
    }
    if (step < whole) {
      multiply_step(step, Format::template weights<0>(weights, step), Format::template weights<1>(weights, step), 0);
      ++step;
    }
    if (size % kF32Step != 0)
      multiply_step(step, Format::template weights<0>(weights, step, size % kF32Step),
                    Format::template weights<1>(weights, step, size % kF32Step), static_cast<int>(step % 2));
    for (int t = 0; t < kTokens; ++t)
      sums[t] = sum_of_lanes(add(add(partial[t][0], partial[t][1]), add(partial[t][2], partial[t][3])));
  }

  static void dot(const char* row, const char* next, const float* const* packed, int64_t count, int64_t size,
                  float* sums) {
    for (; count >= kTokensAtOnce; count -= kTokensAtOnce, packed += kTokensAtOnce, sums += kTokensAtOnce)
      dot_tokens<kTokensAtOnce>(row, next, packed, size, sums);
    for (; count > 0; --count, ++packed, ++sums) dot_tokens<1>(row, next, packed, size, sums);
  }

  template <int kTokens>
  static void add_tokens(const char* row, const char* next, const float* factors, float* const* sums, int64_t begin,
                         int64_t end, int64_t size) {
    const auto weights = reinterpret_cast<Row>(row);
    F32Vector factor[kTokens];
    for (int t = 0; t < kTokens; ++t) factor[t] = set1(factors[t]);
    const auto add_step = [&](int64_t step, F32Vector first, F32Vector second) {
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t) {
        float* at = sums[t] + step * kF32Step;
        store_f32(at, multiply_add(first, factor[t], load_f32(at)));
        store_f32(at + kF32Lanes, multiply_add(second, factor[t], load_f32(at + kF32Lanes)));
      }
    };
    const int64_t whole = std::min(end, size / kF32Step);
    for (int64_t step = begin; step < whole; ++step) {
      constexpr int64_t kStepBytes = kF32Step * int64_t{sizeof(Element)};
#pragma GCC unroll 4
      for (int64_t line = 0; line < kStepBytes; line += 64) _mm_prefetch(next + step * kStepBytes + line, _MM_HINT_T1);
      add_step(step, Format::template weights<0>(weights, step), Format::template weights<1>(weights, step));
    }
    if (whole < end)
      add_step(whole, Format::template weights<0>(weights, whole, size % kF32Step),
               Format::template weights<1>(weights, whole, size % kF32Step));
  }

  static void add_scaled(const char* row, const char* next, const float* factors, float* const* sums, int64_t count,
                         int64_t begin, int64_t end, int64_t size) {
    for (; count >= kTokensAtOnce; count -= kTokensAtOnce, factors += kTokensAtOnce, sums += kTokensAtOnce)
      add_tokens<kTokensAtOnce>(row, next, factors, sums, begin, end, size);
    for (; count > 0; --count, ++factors, ++sums) add_tokens<1>(row, next, factors, sums, begin, end, size);
  }

  static constexpr WeightRows rows() { return {kF32Step, pack, unpack, dot, add_scaled}; }
};

inline const WeightRows* choose_rows(WeightFormat format) {
  static constexpr WeightRows kF32 = RowsOf<Decoder<WeightFormat::f32>>::rows();
  static constexpr WeightRows kBf16 = RowsOf<Decoder<WeightFormat::bf16>>::rows();
  static constexpr WeightRows kF16 = RowsOf<Decoder<WeightFormat::f16>>::rows();
  switch (format) {
    case WeightFormat::f32:
      return &kF32;
    case WeightFormat::bf16:
      return &kBf16;
    case WeightFormat::f16:
      return &kF16;
    default:
      return nullptr;
  }
}

}  // namespace

}  // namespace winnow
