// 128-bit vectors, the least that x86-64 has. Tiles of 2 rows x 4 columns: 8 of 16 registers accumulate. Products are
// rounded before they are added.
#include "panel_kernel.h"

namespace winnow {

namespace {

struct Portable {
  using Packed = float;
  using Vector = __m128;
  using Accumulator = __m128;
  static constexpr int kRows = 2, kColumns = 4, kStep = kF32Step, kVectors = 2;
  static constexpr int kPanelTileRows = 2, kPanelTilePanels = 1;

  static Vector broadcast(const float* from) { return _mm_set1_ps(*from); }
  static Vector load(const float* from) { return _mm_load_ps(from); }
  static void store(float* to, Vector value) { _mm_store_ps(to, value); }
  static Accumulator zero() { return _mm_setzero_ps(); }
  static Accumulator load_accumulator(const float* from) { return _mm_load_ps(from); }
  static void store_accumulator(float* to, Accumulator value) { _mm_store_ps(to, value); }
  static Accumulator multiply_add(Vector a, Vector b, Accumulator c) { return _mm_add_ps(c, _mm_mul_ps(a, b)); }

  // Each: lanes i and i + 2, then the two pairs.
  static void sum4(__m128 a, __m128 b, __m128 c, __m128 d, float* sums) {
    __m128 ab = _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
    __m128 cd = _mm_add_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
    _mm_store_ps(sums, _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab)));
  }
};

}  // namespace

GroupedGemmKernel grouped_gemm_kernel_portable(Operands operands, WeightFormat weight_format) {
  return choose_kernel<Portable>(operands, weight_format);
}

GroupedGemmKernel panel_kernel_portable(Operands operands, WeightFormat weight_format) {
  return choose_panel_kernel<Portable>(operands, weight_format);
}

}  // namespace winnow
