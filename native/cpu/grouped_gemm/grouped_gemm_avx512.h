// f32 arithmetic on 512-bit vectors, for grouped_gemm_kernel.h. Tiles of 4 rows x 6 columns: 24 of 32 registers
// accumulate, 10 loads feed 24 FMAs. Over panels 6 rows x 4 vectors.
#pragma once

#include "panel_kernel.h"

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

struct Avx512 : Avx512Accumulator {
  using Packed = float;
  using Vector = __m512;
  static constexpr int kRows = 4, kColumns = 6, kStep = kF32Step, kVectors = 2;
  static constexpr int kPanelTileRows = 6, kPanelTilePanels = 4;

  static Vector broadcast(const float* from) { return _mm512_set1_ps(*from); }
  static Vector load(const float* from) { return _mm512_load_ps(from); }
  static void store(float* to, Vector value) { _mm512_store_ps(to, value); }
  static Accumulator multiply_add(Vector a, Vector b, Accumulator c) { return _mm512_fmadd_ps(a, b, c); }
};

}  // namespace

}  // namespace winnow
