// f32 arithmetic on 512-bit vectors, for grouped_gemm_kernel.h. Tiles of 4 rows x 6 columns: 24 of 32 registers
// accumulate, 10 loads feed 24 FMAs.
#pragma once

#include <type_traits>

#include "grouped_gemm_kernel.h"

namespace winnow {

namespace {

struct Avx512Accumulator {
  using Accumulator = __m512;
  static Accumulator zero() { return _mm512_setzero_ps(); }
  static Accumulator load_accumulator(const float* from) { return _mm512_load_ps(from); }
  static void store_accumulator(float* to, Accumulator value) { _mm512_store_ps(to, value); }

  // Each: lanes i and i + 2 of a quarter, then the two pairs, then halves of the register, then quarters.
  static void sum4(__m512 a, __m512 b, __m512 c, __m512 d, float* sums) {
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    __m512d ab2 = _mm512_castps_pd(ab), cd2 = _mm512_castps_pd(cd);
    __m512 quarters =
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab2, cd2)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab2, cd2)));
    __m256 halves = _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
    _mm_store_ps(sums, _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
  }
};

// bf16 pairs: the even elements are one vector, the odd ones the next; one instruction each instead of a widening and a
// shift.
template <WeightFormat kWeight>
struct Avx512 : Avx512Accumulator {
  using Weight = std::conditional_t<kWeight == WeightFormat::f32, float, uint16_t>;
  using Packed = float;
  using Vector = __m512;
  static constexpr int kRows = 4, kColumns = 6, kStep = 32, kVectors = 2;
  static constexpr int64_t kMaxDirectTiles = kWeight == WeightFormat::f32 ? 8 : kWeight == WeightFormat::bf16 ? 4 : 2;

  static constexpr int index(int v, int i) { return kWeight == WeightFormat::bf16 ? 2 * i + v : 16 * v + i; }
  static Vector load(const float* from) { return _mm512_load_ps(from); }
  static void store(float* to, Vector value) { _mm512_store_ps(to, value); }
  static Accumulator multiply_add(Vector a, Vector b, Accumulator c) { return _mm512_fmadd_ps(a, b, c); }

  template <int v>
  static Vector weights(const Weight* from) {
    if constexpr (kWeight == WeightFormat::f32) return _mm512_loadu_ps(from + 16 * v);
    if constexpr (kWeight == WeightFormat::bf16) return half<v>(_mm512_loadu_si512(from));
    if constexpr (kWeight == WeightFormat::f16)
      return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 16 * v)));
  }

  template <int v>
  static Vector weights(const Weight* from, int64_t size) {
    auto mask = static_cast<__mmask32>((uint64_t{1} << size) - 1);
    if constexpr (kWeight == WeightFormat::f32)
      return _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> (16 * v)), from + 16 * v);
    if constexpr (kWeight == WeightFormat::bf16) return half<v>(_mm512_maskz_loadu_epi16(mask, from));
    if constexpr (kWeight == WeightFormat::f16)
      return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(static_cast<__mmask16>(mask >> (16 * v)), from + 16 * v));
  }

 private:
  template <int v>
  static Vector half(__m512i pairs) {
    return _mm512_castsi512_ps(v == 0 ? _mm512_slli_epi32(pairs, 16)
                                      : _mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int32_t>(0xffff0000))));
  }
};

}  // namespace

}  // namespace winnow
