#include <immintrin.h>

#include "base/row_product_tiles.h"

namespace winnow {

namespace {

struct RowProductLanes512 {
  using V = __m512;
  static constexpr int kLanes = 16, kRegisters = 32, kPanelVectors = 4;

  static V zero() { return _mm512_setzero_ps(); }
  static V broadcast(float x) { return _mm512_set1_ps(x); }
  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static V multiply(V a, V b) { return _mm512_mul_ps(a, b); }
  static V multiply_add(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V widen_bf16(const uint16_t* p) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
  }
  static V widen_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
};

}  // namespace

extern const RowProductKernels kRowProductsAvx512;
const RowProductKernels kRowProductsAvx512 = RowProductTiles<RowProductLanes512>::kernels();

}  // namespace winnow
