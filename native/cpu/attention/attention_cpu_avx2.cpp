#include <immintrin.h>

#include "attention_rows.h"

namespace winnow {

namespace {

struct Lanes256 {
  using V = __m256;
  static constexpr int kLanes = 8, kRows = 2, kAccumulators = 8, kScoreVectors = 4;

  static __m256i part(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static V zero() { return _mm256_setzero_ps(); }
  static V broadcast(float x) { return _mm256_set1_ps(x); }
  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static V load_part(const float* p, int64_t count) { return _mm256_maskload_ps(p, part(count)); }
  static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  static void store_part(float* p, int64_t count, V v) { _mm256_maskstore_ps(p, part(count), v); }
  static float first(V v) { return _mm256_cvtss_f32(v); }
  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V subtract(V a, V b) { return _mm256_sub_ps(a, b); }
  static V multiply(V a, V b) { return _mm256_mul_ps(a, b); }
  static V multiply_add(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V maximum(V a, V b) { return _mm256_max_ps(a, b); }
  static V round(V v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static V scale_by_power_of_two(V v, V n) {  // n in [-127, 127]
    __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(v, _mm256_castsi256_ps(bits));
  }
  static V zero_where_below(V x, float limit, V v) {
    return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_LT_OQ), v);
  }

  // Lane i of the result combines all lanes of v[i], in the same tree for every v[i].
  template <typename Fold>
  static V fold_each(const V (&v)[8], const Fold& fold) {
    V halves[4], pairs[2];
    for (int i = 0; i < 4; ++i)
      halves[i] = fold(_mm256_permute2f128_ps(v[i], v[i + 4], 0x20), _mm256_permute2f128_ps(v[i], v[i + 4], 0x31));
    for (int i = 0; i < 2; ++i)
      pairs[i] = fold(_mm256_unpacklo_ps(halves[i], halves[i + 2]), _mm256_unpackhi_ps(halves[i], halves[i + 2]));
    return fold(_mm256_unpacklo_ps(pairs[0], pairs[1]), _mm256_unpackhi_ps(pairs[0], pairs[1]));
  }

  // Lane j of v[i] becomes lane i of v[j].
  static void transpose(V (&v)[8]) {
    V b[8];
    for (int i = 0; i < 8; i += 4) {  // b[i + k]: in both halves of the vector, column k of the four rows
      V low = _mm256_unpacklo_ps(v[i], v[i + 1]), high = _mm256_unpackhi_ps(v[i], v[i + 1]);
      V low_next = _mm256_unpacklo_ps(v[i + 2], v[i + 3]), high_next = _mm256_unpackhi_ps(v[i + 2], v[i + 3]);
      b[i] = _mm256_shuffle_ps(low, low_next, 0x44);
      b[i + 1] = _mm256_shuffle_ps(low, low_next, 0xEE);
      b[i + 2] = _mm256_shuffle_ps(high, high_next, 0x44);
      b[i + 3] = _mm256_shuffle_ps(high, high_next, 0xEE);
    }
    for (int k = 0; k < 4; ++k) {
      v[k] = _mm256_permute2f128_ps(b[k], b[4 + k], 0x20);
      v[4 + k] = _mm256_permute2f128_ps(b[k], b[4 + k], 0x31);
    }
  }

  // Nearest even; NaN stays NaN.
  static V round_to_bf16(V v) {
    __m256i bits = _mm256_castps_si256(v), odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    rounded = _mm256_or_si256(_mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)), rounded);
    return _mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32(static_cast<int>(0xffff0000))));
  }
  static V widen_bf16(const uint16_t* p) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
  }
  static V widen_f16(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  // f32 of the low, and of the high, bf16 of each pair.
  static V low_bf16(V pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pairs), 16)); }
  static V high_bf16(V pairs) {
    return _mm256_castsi256_ps(
        _mm256_and_si256(_mm256_castps_si256(pairs), _mm256_set1_epi32(static_cast<int>(0xffff0000))));
  }
};

}  // namespace

const AttentionKernels kAttentionAvx2 = AttentionRows<Lanes256, F32Products<Lanes256>>::kernels();

}  // namespace winnow
