// How the weights of each storage format become vectors of f32, for the kernels that multiply by weights. A new format needs a row in
// weight_formats.inc and a Decoder here: every instruction set then has it, and without a Decoder nothing compiles.
//
// The upper half holds the loads and operations that decoders use, once per instruction set. The compiler flags of the
// including file choose the set, so everything here is local to that file.
//
// A decoder provides:
//
//   kFormat                       the format
//   kMaxDirectTiles               up to this many tiles convert weights themselves; with more, one converted panel is
//                                 cheaper
//   Row                           what is needed to read a row; row(planes, n, row_size) makes it for row n
//   index(v, i)                   which element of a step the vector v holds at i: rows of input are packed in that
//                                 order
//   weights<v>(row, step)         vector v, 0 or 1, of a step of kF32Step elements
//   weights<v>(row, step, size)   the same of a last step: elements from size on read as zero and are not touched
//
// A format with a factor per row decodes to round_to_f32(factor * element).
#pragma once

#include <immintrin.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "base/activation.h"
#include "winnow/base/weight_format.h"

namespace winnow {

namespace {

// Loads convert one vector of elements. With a count, elements from count on read as zero and are not touched.
#if defined(__AVX512F__)

constexpr int kF32Lanes = 16;
using F32Vector = __m512;
using Bf16Pairs = __m512i;

inline uint32_t mask_of(int64_t count) { return static_cast<uint32_t>((uint64_t{1} << (count < 0 ? 0 : count)) - 1); }

inline F32Vector load_f32(const float* from) { return _mm512_loadu_ps(from); }
inline F32Vector load_f32(const float* from, int64_t count) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask_of(count)), from);
}
inline F32Vector load_f16(const uint16_t* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline F32Vector load_f16(const uint16_t* from, int64_t count) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(static_cast<__mmask16>(mask_of(count)), from));
}
inline Bf16Pairs load_bf16_pairs(const uint16_t* from) { return _mm512_loadu_si512(from); }
inline Bf16Pairs load_bf16_pairs(const uint16_t* from, int64_t count) {
  return _mm512_maskz_loadu_epi16(mask_of(count), from);
}
inline F32Vector load_i8(const int8_t* from) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
inline F32Vector load_i8(const int8_t* from, int64_t count) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(static_cast<__mmask16>(mask_of(count)), from)));
}
inline F32Vector multiply(F32Vector vector, float factor) { return _mm512_mul_ps(vector, _mm512_set1_ps(factor)); }
inline F32Vector even(Bf16Pairs pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
inline F32Vector odd(Bf16Pairs pairs) {
  return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int32_t>(0xffff0000))));
}

#else

// The first count elements, then zeros.
template <typename Element>
struct Padded {
  Element elements[16] = {};

  Padded(const Element* from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) elements[i] = from[i];
  }
};

#if defined(__AVX2__)

constexpr int kF32Lanes = 8;
using F32Vector = __m256;
using Bf16Pairs = __m256i;

inline F32Vector load_f32(const float* from) { return _mm256_loadu_ps(from); }
inline F32Vector load_f16(const uint16_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Bf16Pairs load_bf16_pairs(const uint16_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline F32Vector load_i8(const int8_t* from) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
inline F32Vector multiply(F32Vector vector, float factor) { return _mm256_mul_ps(vector, _mm256_set1_ps(factor)); }
inline F32Vector even(Bf16Pairs pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
inline F32Vector odd(Bf16Pairs pairs) {
  return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int32_t>(0xffff0000))));
}

#else

constexpr int kF32Lanes = 4;
using F32Vector = __m128;
using Bf16Pairs = __m128i;

inline float f16_to_float(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, magnitude = bits & 0x7fff;
  if (magnitude >= 0x7c00) return float_from_bits(static_cast<int32_t>(sign | 0x7f800000 | (magnitude & 0x3ff) << 13));
  float value = float_from_bits(static_cast<int32_t>(magnitude << 13)) * 0x1p112f;  // right for subnormals as well
  return sign != 0 ? -value : value;
}

inline F32Vector load_f32(const float* from) { return _mm_loadu_ps(from); }
inline F32Vector load_f16(const uint16_t* from) {
  return _mm_setr_ps(f16_to_float(from[0]), f16_to_float(from[1]), f16_to_float(from[2]), f16_to_float(from[3]));
}
inline Bf16Pairs load_bf16_pairs(const uint16_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
inline F32Vector load_i8(const int8_t* from) {
  return _mm_cvtepi32_ps(_mm_setr_epi32(from[0], from[1], from[2], from[3]));
}
inline F32Vector multiply(F32Vector vector, float factor) { return _mm_mul_ps(vector, _mm_set1_ps(factor)); }
inline F32Vector even(Bf16Pairs pairs) { return _mm_castsi128_ps(_mm_slli_epi32(pairs, 16)); }
inline F32Vector odd(Bf16Pairs pairs) {
  return _mm_castsi128_ps(_mm_and_si128(pairs, _mm_set1_epi32(static_cast<int32_t>(0xffff0000))));
}

#endif

inline F32Vector load_f32(const float* from, int64_t count) { return load_f32(Padded<float>(from, count).elements); }
inline F32Vector load_f16(const uint16_t* from, int64_t count) {
  return load_f16(Padded<uint16_t>(from, count).elements);
}
inline F32Vector load_i8(const int8_t* from, int64_t count) { return load_i8(Padded<int8_t>(from, count).elements); }
inline Bf16Pairs load_bf16_pairs(const uint16_t* from, int64_t count) {
  return load_bf16_pairs(Padded<uint16_t>(from, count).elements);
}

#endif

constexpr int kF32Step = 2 * kF32Lanes;  // elements of a step in f32 arithmetic

// The addresses of a matrix's planes.
template <WeightFormat kFormat>
using WeightPlanes = std::array<const void*, WeightFormatTraits<kFormat>::kPlanes>;

// The first block of row n.
template <WeightFormat kFormat>
const char* row_blocks(const WeightPlanes<kFormat>& planes, int64_t n, int64_t row_size) {
  using Traits = WeightFormatTraits<kFormat>;
  return static_cast<const char*>(planes[0]) + n * (row_size / Traits::kBlockElements * Traits::kBlockBytes);
}

// Of formats that store element by element.
template <WeightFormat kFormatOfElements, typename Element>
struct ElementRows {
  static constexpr WeightFormat kFormat = kFormatOfElements;
  static_assert(WeightFormatTraits<kFormat>::kBlockElements == 1 &&
                    WeightFormatTraits<kFormat>::kBlockBytes == int64_t{sizeof(Element)},
                "the format stores such elements one by one");

  using Row = const Element*;
  static Row row(const WeightPlanes<kFormat>& planes, int64_t n, int64_t row_size) {
    return reinterpret_cast<Row>(row_blocks<kFormat>(planes, n, row_size));
  }

  // One vector after the other.
  static constexpr int index(int v, int i) { return kF32Lanes * v + i; }
};

template <WeightFormat kFormat>
struct Decoder;

template <>
struct Decoder<WeightFormat::f32> : ElementRows<WeightFormat::f32, float> {
  static constexpr int64_t kMaxDirectTiles = 8;

  template <int v>
  static F32Vector weights(Row row, int64_t step) {
    return load_f32(row + step * kF32Step + v * kF32Lanes);
  }
  template <int v>
  static F32Vector weights(Row row, int64_t step, int64_t size) {
    return load_f32(row + step * kF32Step + v * kF32Lanes, size - v * kF32Lanes);
  }
};

// The even elements are one vector, the odd ones the next: one instruction each instead of a widening and a shift.
template <>
struct Decoder<WeightFormat::bf16> : ElementRows<WeightFormat::bf16, uint16_t> {
  static constexpr int64_t kMaxDirectTiles = kF32Lanes == 16 ? 4 : 3;

  static constexpr int index(int v, int i) { return 2 * i + v; }
  template <int v>
  static F32Vector weights(Row row, int64_t step) {
    const Bf16Pairs pairs = load_bf16_pairs(row + step * kF32Step);
    return v == 0 ? even(pairs) : odd(pairs);
  }
  template <int v>
  static F32Vector weights(Row row, int64_t step, int64_t size) {
    const Bf16Pairs pairs = load_bf16_pairs(row + step * kF32Step, size);
    return v == 0 ? even(pairs) : odd(pairs);
  }
};

template <>
struct Decoder<WeightFormat::f16> : ElementRows<WeightFormat::f16, uint16_t> {
  static constexpr int64_t kMaxDirectTiles = 2;

  template <int v>
  static F32Vector weights(Row row, int64_t step) {
    return load_f16(row + step * kF32Step + v * kF32Lanes);
  }
  template <int v>
  static F32Vector weights(Row row, int64_t step, int64_t size) {
    return load_f16(row + step * kF32Step + v * kF32Lanes, size - v * kF32Lanes);
  }
};

template <>
struct Decoder<WeightFormat::i8_row> : ElementRows<WeightFormat::i8_row, int8_t> {
  static constexpr int64_t kMaxDirectTiles = 2;

  struct Row {
    const int8_t* elements;
    float factor;
  };
  static Row row(const WeightPlanes<kFormat>& planes, int64_t n, int64_t row_size) {
    return {ElementRows::row(planes, n, row_size), static_cast<const float*>(planes[1])[n]};
  }

  template <int v>
  static F32Vector weights(Row row, int64_t step) {
    return multiply(load_i8(row.elements + step * kF32Step + v * kF32Lanes), row.factor);
  }
  template <int v>
  static F32Vector weights(Row row, int64_t step, int64_t size) {
    return multiply(load_i8(row.elements + step * kF32Step + v * kF32Lanes, size - v * kF32Lanes), row.factor);
  }
};

#if defined(__AVX512BF16__)

// bf16 that stays as it is, one vector per step, for arithmetic on pairs.
struct Bf16PairDecoder : ElementRows<WeightFormat::bf16, uint16_t> {
  static_assert(WeightFormatTraits<WeightFormat::bf16>::kPlanes == 1, "pairs are multiplied as they are stored");
  static constexpr int64_t kMaxDirectTiles = 8;

  static constexpr int index(int, int i) { return i; }
  template <int>
  static Bf16Pairs weights(Row row, int64_t step) {
    return load_bf16_pairs(row + step * kF32Step);
  }
  template <int>
  static Bf16Pairs weights(Row row, int64_t step, int64_t size) {
    return load_bf16_pairs(row + step * kF32Step, size);
  }
};

#endif

}  // namespace

}  // namespace winnow
