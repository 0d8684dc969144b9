// 128-bit vectors, the least that x86-64 has. Tiles of 2 rows x 4 columns: 8 of 16 registers accumulate. Products are
// rounded before they are added.
#include <type_traits>

#include "grouped_gemm_kernel.h"

namespace winnow {

namespace {

inline float f16_to_float(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, magnitude = bits & 0x7fff;
  if (magnitude >= 0x7c00) return float_from_bits(static_cast<int32_t>(sign | 0x7f800000 | (magnitude & 0x3ff) << 13));
  float value = float_from_bits(static_cast<int32_t>(magnitude << 13)) * 0x1p112f;  // right for subnormals as well
  return sign != 0 ? -value : value;
}

template <WeightFormat kWeight>
struct Portable {
  using Weight = std::conditional_t<kWeight == WeightFormat::f32, float, uint16_t>;
  using Packed = float;
  using Vector = __m128;
  using Accumulator = __m128;
  static constexpr int kRows = 2, kColumns = 4, kStep = 8, kVectors = 2;
  static constexpr int64_t kMaxDirectTiles = kWeight == WeightFormat::f32 ? 8 : kWeight == WeightFormat::bf16 ? 3 : 2;

  static constexpr int index(int v, int i) { return kWeight == WeightFormat::bf16 ? 2 * i + v : 4 * v + i; }
  static Vector load(const float* from) { return _mm_load_ps(from); }
  static void store(float* to, Vector value) { _mm_store_ps(to, value); }
  static Accumulator zero() { return _mm_setzero_ps(); }
  static Accumulator load_accumulator(const float* from) { return _mm_load_ps(from); }
  static void store_accumulator(float* to, Accumulator value) { _mm_store_ps(to, value); }
  static Accumulator multiply_add(Vector a, Vector b, Accumulator c) { return _mm_add_ps(c, _mm_mul_ps(a, b)); }

  template <int v>
  static Vector weights(const Weight* from) {
    if constexpr (kWeight == WeightFormat::f32) return _mm_loadu_ps(from + 4 * v);
    if constexpr (kWeight == WeightFormat::bf16) {
      __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      return _mm_castsi128_ps(v == 0 ? _mm_slli_epi32(pairs, 16)
                                     : _mm_and_si128(pairs, _mm_set1_epi32(static_cast<int32_t>(0xffff0000))));
    }
    if constexpr (kWeight == WeightFormat::f16) {
      from += 4 * v;
      return _mm_setr_ps(f16_to_float(from[0]), f16_to_float(from[1]), f16_to_float(from[2]), f16_to_float(from[3]));
    }
  }

  template <int v>
  static Vector weights(const Weight* from, int64_t size) {
    Weight padded[kStep] = {};
    for (int64_t i = 0; i < size; ++i) padded[i] = from[i];
    return weights<v>(padded);
  }

  // Each: lanes i and i + 2, then the two pairs.
  static void sum4(__m128 a, __m128 b, __m128 c, __m128 d, float* sums) {
    __m128 ab = _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
    __m128 cd = _mm_add_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
    _mm_store_ps(sums, _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab)));
  }
};

}  // namespace

GroupedGemmKernel grouped_gemm_kernel_portable(DType input_type, WeightFormat weight_format) {
  return choose_kernel<Portable>(input_type, weight_format);
}

}  // namespace winnow
