// Blocks of bf16 as pairs, for instructions that multiply two of them and add both products.
#pragma once

#include "attention_avx512.h"

namespace winnow {

namespace {

struct PairBlocks {
  using V = __m512;
  using Unit = uint32_t;  // the element of lower index in the low half
  static constexpr int kPair = 2;

  // Writes weights of keys [j, j + 16) as bf16 to the beginning of their row, from which nothing more is read.
  static V store_weights(float* row, int64_t j, V weights) {
    const V rounded = Lanes512::round_to_bf16(weights);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(reinterpret_cast<uint16_t*>(row) + j), upper_halves(rounded));
    return rounded;
  }

  static const Unit* query(const AttentionCall& call, const float* query, float* scratch) {
    auto* pairs = reinterpret_cast<uint16_t*>(scratch);
    for (int64_t c = 0; c < call.padded_key_width(); c += 16) {
      const int64_t count = std::min<int64_t>(16, call.key_width - c),
                    padded = std::min<int64_t>(16, call.padded_key_width() - c);
      const auto rounded = Lanes512::round_to_bf16(_mm512_maskz_loadu_ps(Lanes512::part(count), query + c));
      _mm256_mask_storeu_epi16(pairs + c, Lanes512::part(padded), upper_halves(rounded));
    }
    return reinterpret_cast<const Unit*>(scratch);
  }

  static AttentionBlock<Unit> prepare(const AttentionCall& call, const char* keys, const char* values, int64_t count,
                                      const AttentionScratch& scratch) {
    if (call.tiled)
      return {reinterpret_cast<const Unit*>(keys), reinterpret_cast<const Unit*>(values), call.value_width};
    const int64_t width = call.key_width;
    F32Products<Lanes512>::transpose(keys, width * sizeof(uint16_t), width / 2, count, scratch.keys);
    if (width % 2 != 0) {
      auto* last = reinterpret_cast<Unit*>(scratch.keys) + width / 2 * kKeysPerBlock;
      for (int64_t j = 0; j < count; ++j) last[j] = reinterpret_cast<const uint16_t*>(keys)[j * width + width - 1];
      std::fill(last + count, last + kKeysPerBlock, 0);
    }
    const auto* value = reinterpret_cast<const uint16_t*>(values);
    for (int64_t j = 0; j < count; j += 2) {
      const uint16_t* low = value + j * call.value_row_stride;
      const uint16_t* high = j + 1 < count ? low + call.value_row_stride : low;
      interleave(low, high, call.value_width, reinterpret_cast<Unit*>(scratch.values) + j / 2 * call.value_width);
    }
    return {reinterpret_cast<const Unit*>(scratch.keys), reinterpret_cast<const Unit*>(scratch.values),
            call.value_width};
  }

 private:
  static __m256i upper_halves(V v) { return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(v), 16)); }

  static void interleave(const uint16_t* low, const uint16_t* high, int64_t width, Unit* to) {
    for (int64_t c = 0; c < width; c += 16) {
      const __mmask16 part = Lanes512::part(std::min<int64_t>(16, width - c));
      const __m512i first = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(part, low + c));
      const __m512i second = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(part, high + c));
      _mm512_mask_storeu_epi32(to + c, part, _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
    }
  }
};

}  // namespace

}  // namespace winnow
