// Plain x86-64 with SSE2. A product and a sum are rounded separately.
#include <emmintrin.h>

#include "base/row_product_tiles.h"

namespace winnow {

namespace {

struct RowProductLanes128 {
  using V = __m128;
  static constexpr int kLanes = 4, kRegisters = 16, kPanelVectors = 2;

  static V zero() { return _mm_setzero_ps(); }
  static V broadcast(float x) { return _mm_set1_ps(x); }
  static V load(const float* p) { return _mm_loadu_ps(p); }
  static void store(float* p, V v) { _mm_storeu_ps(p, v); }
  static V multiply(V a, V b) { return _mm_mul_ps(a, b); }
  static V multiply_add(V a, V b, V c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
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
};

}  // namespace

extern const RowProductKernels kRowProductsPortable;
const RowProductKernels kRowProductsPortable = RowProductTiles<RowProductLanes128>::kernels();

}  // namespace winnow
