#include <immintrin.h>

#include "base/row_product_tiles.h"

namespace winnow {

namespace {

struct RowProductLanes256 {
  using V = __m256;
  static constexpr int kLanes = 8, kRegisters = 16, kPanelVectors = 2;

  static V zero() { return _mm256_setzero_ps(); }
  static V broadcast(float x) { return _mm256_set1_ps(x); }
  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  static V multiply(V a, V b) { return _mm256_mul_ps(a, b); }
  static V multiply_add(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V widen_bf16(const uint16_t* p) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
  }
  static V widen_f16(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
};

}  // namespace

extern const RowProductKernels kRowProductsAvx2;
const RowProductKernels kRowProductsAvx2 = RowProductTiles<RowProductLanes256>::kernels();

}  // namespace winnow
