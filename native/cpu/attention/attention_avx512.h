// Vectors of 16 f32, for the inner loops on avx512 and avx512_bf16.
#pragma once

#include <immintrin.h>

#include "attention_rows.h"

namespace winnow {

namespace {

struct Lanes512 {
  using V = __m512;
  static constexpr int kLanes = 16, kRows = 4, kAccumulators = 16, kScoreVectors = 4;

  static __mmask16 part(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
  static V zero() { return _mm512_setzero_ps(); }
  static V broadcast(float x) { return _mm512_set1_ps(x); }
  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static V load_part(const float* p, int64_t count) { return _mm512_maskz_loadu_ps(part(count), p); }
  static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static void store_part(float* p, int64_t count, V v) { _mm512_mask_storeu_ps(p, part(count), v); }
  static float first(V v) { return _mm512_cvtss_f32(v); }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V subtract(V a, V b) { return _mm512_sub_ps(a, b); }
  static V multiply(V a, V b) { return _mm512_mul_ps(a, b); }
  static V multiply_add(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V maximum(V a, V b) { return _mm512_max_ps(a, b); }
  static V round(V v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static V scale_by_power_of_two(V v, V n) { return _mm512_scalef_ps(v, n); }
  static V zero_where_below(V x, float limit, V v) {
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_LT_OQ), _mm512_setzero_ps());
  }

  // Lane i of the result combines all lanes of v[i], in the same tree for every v[i].
  template <typename Fold>
  static V fold_each(const V (&v)[16], const Fold& fold) {
    V halves[8], quarters[4], pairs[2];
    for (int i = 0; i < 4; ++i) {
      halves[i] = fold(_mm512_shuffle_f32x4(v[i], v[i + 4], 0x44), _mm512_shuffle_f32x4(v[i], v[i + 4], 0xEE));
      halves[i + 4] =
          fold(_mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0x44), _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0xEE));
    }
    for (int i = 0; i < 4; ++i) {
      quarters[i] = fold(_mm512_shuffle_f32x4(halves[i], halves[i + 4], 0x88),
                         _mm512_shuffle_f32x4(halves[i], halves[i + 4], 0xDD));
    }
    for (int i = 0; i < 2; ++i) {
      pairs[i] =
          fold(_mm512_unpacklo_ps(quarters[i], quarters[i + 2]), _mm512_unpackhi_ps(quarters[i], quarters[i + 2]));
    }
    return fold(_mm512_unpacklo_ps(pairs[0], pairs[1]), _mm512_unpackhi_ps(pairs[0], pairs[1]));
  }

  // Lane j of v[i] becomes lane i of v[j].
  static void transpose(V (&v)[16]) {
    V a[16], b[16];
    for (int i = 0; i < 16; i += 4) {
      for (int half = 0; half < 2; ++half) {
        V x = v[i + half * 2], y = v[i + half * 2 + 1];
        a[i + half] = _mm512_unpacklo_ps(x, y);
        a[i + half + 2] = _mm512_unpackhi_ps(x, y);
      }
      for (int half = 0; half < 2; ++half) {  // b[i + k]: in every quarter of the vector, column k of the four rows
        b[i + 2 * half] = _mm512_shuffle_ps(a[i + 2 * half], a[i + 2 * half + 1], 0x44);
        b[i + 2 * half + 1] = _mm512_shuffle_ps(a[i + 2 * half], a[i + 2 * half + 1], 0xEE);
      }
    }
    for (int k = 0; k < 4; ++k) {
      V low = _mm512_shuffle_f32x4(b[k], b[4 + k], 0x44), low_rest = _mm512_shuffle_f32x4(b[k], b[4 + k], 0xEE);
      V high = _mm512_shuffle_f32x4(b[8 + k], b[12 + k], 0x44),
        high_rest = _mm512_shuffle_f32x4(b[8 + k], b[12 + k], 0xEE);
      v[k] = _mm512_shuffle_f32x4(low, high, 0x88);
      v[4 + k] = _mm512_shuffle_f32x4(low, high, 0xDD);
      v[8 + k] = _mm512_shuffle_f32x4(low_rest, high_rest, 0x88);
      v[12 + k] = _mm512_shuffle_f32x4(low_rest, high_rest, 0xDD);
    }
  }

  // Nearest even; NaN stays NaN.
  static V round_to_bf16(V v) {
    __m512i bits = _mm512_castps_si512(v), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fff0000));
    return _mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
  }
  static V widen_bf16(const uint16_t* p) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
  }
  static V widen_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  // f32 of the low, and of the high, bf16 of each pair.
  static V low_bf16(V pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16)); }
  static V high_bf16(V pairs) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32(static_cast<int>(0xffff0000))));
  }
};

}  // namespace

}  // namespace winnow
