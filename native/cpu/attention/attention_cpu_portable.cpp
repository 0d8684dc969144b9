// Plain x86-64 with SSE2. A product and a sum are rounded separately.
#include <emmintrin.h>

#include "attention_rows.h"

namespace winnow {

namespace {

struct Lanes128 {
  using V = __m128;
  static constexpr int kLanes = 4, kRows = 2, kAccumulators = 8, kScoreVectors = 4;

  static V zero() { return _mm_setzero_ps(); }
  static V broadcast(float x) { return _mm_set1_ps(x); }
  static V load(const float* p) { return _mm_loadu_ps(p); }
  static V load_part(const float* p, int64_t count) {
    float lanes[4] = {};
    std::memcpy(lanes, p, count * sizeof(float));
    return _mm_loadu_ps(lanes);
  }
  static void store(float* p, V v) { _mm_storeu_ps(p, v); }
  static void store_part(float* p, int64_t count, V v) {
    float lanes[4];
    _mm_storeu_ps(lanes, v);
    std::memcpy(p, lanes, count * sizeof(float));
  }
  static float first(V v) { return _mm_cvtss_f32(v); }
  static V add(V a, V b) { return _mm_add_ps(a, b); }
  static V subtract(V a, V b) { return _mm_sub_ps(a, b); }
  static V multiply(V a, V b) { return _mm_mul_ps(a, b); }
  static V multiply_add(V a, V b, V c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
  static V maximum(V a, V b) { return _mm_max_ps(a, b); }
  static V round(V v) { return _mm_cvtepi32_ps(_mm_cvtps_epi32(v)); }  // |v| < 2^31; NaN becomes -2^31, its r stays NaN
  static V scale_by_power_of_two(V v, V n) {                           // n in [-127, 127]
    return _mm_mul_ps(v, _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(_mm_cvtps_epi32(n), _mm_set1_epi32(127)), 23)));
  }
  static V zero_where_below(V x, float limit, V v) { return _mm_andnot_ps(_mm_cmplt_ps(x, _mm_set1_ps(limit)), v); }

  // Lane i of the result combines all lanes of v[i], in the same tree for every v[i].
  template <typename Fold>
  static V fold_each(const V (&v)[4], const Fold& fold) {
    V pairs[2];
    for (int i = 0; i < 2; ++i) pairs[i] = fold(_mm_unpacklo_ps(v[i], v[i + 2]), _mm_unpackhi_ps(v[i], v[i + 2]));
    return fold(_mm_unpacklo_ps(pairs[0], pairs[1]), _mm_unpackhi_ps(pairs[0], pairs[1]));
  }

  // Lane j of v[i] becomes lane i of v[j].
  static void transpose(V (&v)[4]) { _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]); }

  // Nearest even; NaN stays NaN.
  static V round_to_bf16(V v) {
    __m128i bits = _mm_castps_si128(v), odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
    __m128i rounded = _mm_add_epi32(_mm_add_epi32(bits, _mm_set1_epi32(0x7fff)), odd);
    rounded = _mm_or_si128(_mm_castps_si128(_mm_cmpunord_ps(v, v)), rounded);
    return _mm_castsi128_ps(_mm_and_si128(rounded, _mm_set1_epi32(static_cast<int>(0xffff0000))));
  }
  static V widen_bf16(const uint16_t* p) {
    return _mm_castsi128_ps(
        _mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  // Moved to the place of an f32's exponent, then multiplied by the difference of the biases: right for subnormals too.
  static V widen_f16(const uint16_t* p) {
    __m128i half = _mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)), _mm_setzero_si128());
    __m128i magnitude = _mm_and_si128(half, _mm_set1_epi32(0x7fff)),
            sign = _mm_slli_epi32(_mm_xor_si128(half, magnitude), 16);
    __m128i bits = _mm_slli_epi32(magnitude, 13), huge = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7bff));
    __m128i value = _mm_castps_si128(_mm_mul_ps(_mm_castsi128_ps(bits), _mm_set1_ps(0x1p112f)));
    __m128i special = _mm_and_si128(huge, _mm_set1_epi32(0x7f800000));
    return _mm_castsi128_ps(_mm_or_si128(_mm_or_si128(value, special), sign));
  }
  // f32 of the low, and of the high, bf16 of each pair.
  static V low_bf16(V pairs) { return _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(pairs), 16)); }
  static V high_bf16(V pairs) {
    return _mm_castsi128_ps(_mm_and_si128(_mm_castps_si128(pairs), _mm_set1_epi32(static_cast<int>(0xffff0000))));
  }
};

}  // namespace

const AttentionKernels kAttentionPortable = AttentionRows<Lanes128, F32Products<Lanes128>>::kernels();

}  // namespace winnow
