// 256-bit vectors. Tiles of 2 rows x 6 columns: 12 of 16 registers accumulate, 8 loads feed 12 FMAs. Over
// panels 6 rows x 2 vectors: 8 loads feed 12 FMAs.
#include "panel_kernel.h"

namespace winnow {

namespace {

struct Avx2 {
  using Packed = float;
  using Vector = __m256;
  using Accumulator = __m256;
  static constexpr int kRows = 2, kColumns = 6, kStep = kF32Step, kVectors = 2;
  static constexpr int kPanelTileRows = 6, kPanelTilePanels = 1;

  static Vector broadcast(const float* from) { return _mm256_set1_ps(*from); }
  static Vector load(const float* from) { return _mm256_load_ps(from); }
  static void store(float* to, Vector value) { _mm256_store_ps(to, value); }
  static Accumulator zero() { return _mm256_setzero_ps(); }
  static Accumulator load_accumulator(const float* from) { return _mm256_load_ps(from); }
  static void store_accumulator(float* to, Accumulator value) { _mm256_store_ps(to, value); }
  static Accumulator multiply_add(Vector a, Vector b, Accumulator c) { return _mm256_fmadd_ps(a, b, c); }

  // Each: lanes i and i + 2 of a half, then the two pairs, then the halves of the register.
  static void sum4(__m256 a, __m256 b, __m256 c, __m256 d, float* sums) {
    __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    __m256d ab2 = _mm256_castps_pd(ab), cd2 = _mm256_castps_pd(cd);
    __m256 halves =
        _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(ab2, cd2)), _mm256_castpd_ps(_mm256_unpackhi_pd(ab2, cd2)));
    _mm_store_ps(sums, _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1)));
  }
};

}  // namespace

GroupedGemmKernel grouped_gemm_kernel_avx2(Operands operands, WeightFormat weight_format) {
  return choose_kernel<Avx2>(operands, weight_format);
}

GroupedGemmKernel panel_kernel_avx2(Operands operands, WeightFormat weight_format) {
  return choose_panel_kernel<Avx2>(operands, weight_format);
}

}  // namespace winnow
