// 256-bit vectors. Tiles of 2 rows x 6 columns: 12 of 16 registers accumulate, 8 loads feed 12 FMAs.
#include <type_traits>

#include "grouped_gemm_kernel.h"

namespace winnow {

namespace {

template <WeightFormat kWeight>
struct Avx2 {
  using Weight = std::conditional_t<kWeight == WeightFormat::f32, float, uint16_t>;
  using Packed = float;
  using Vector = __m256;
  using Accumulator = __m256;
  static constexpr int kRows = 2, kColumns = 6, kStep = 16, kVectors = 2;
  static constexpr int64_t kMaxDirectTiles = kWeight == WeightFormat::f32 ? 8 : kWeight == WeightFormat::bf16 ? 3 : 2;

  static constexpr int index(int v, int i) { return kWeight == WeightFormat::bf16 ? 2 * i + v : 8 * v + i; }
  static Vector load(const float* from) { return _mm256_load_ps(from); }
  static void store(float* to, Vector value) { _mm256_store_ps(to, value); }
  static Accumulator zero() { return _mm256_setzero_ps(); }
  static Accumulator load_accumulator(const float* from) { return _mm256_load_ps(from); }
  static void store_accumulator(float* to, Accumulator value) { _mm256_store_ps(to, value); }
  static Accumulator multiply_add(Vector a, Vector b, Accumulator c) { return _mm256_fmadd_ps(a, b, c); }

  template <int v>
  static Vector weights(const Weight* from) {
    if constexpr (kWeight == WeightFormat::f32) return _mm256_loadu_ps(from + 8 * v);
    if constexpr (kWeight == WeightFormat::bf16) {
      __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
      return _mm256_castsi256_ps(v == 0 ? _mm256_slli_epi32(pairs, 16)
                                        : _mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int32_t>(0xffff0000))));
    }
    if constexpr (kWeight == WeightFormat::f16)
      return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 8 * v)));
  }

  template <int v>
  static Vector weights(const Weight* from, int64_t size) {
    Weight padded[kStep] = {};
    for (int64_t i = 0; i < size; ++i) padded[i] = from[i];
    return weights<v>(padded);
  }

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

GroupedGemmKernel grouped_gemm_kernel_avx2(DType input_type, WeightFormat weight_format) {
  return choose_kernel<Avx2>(input_type, weight_format);
}

}  // namespace winnow
