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
};

}  // namespace

const AttentionKernels kAttentionPortable = AttentionRows<Lanes128>::kernels();

}  // namespace winnow
