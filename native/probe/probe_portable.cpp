#include <emmintrin.h>

#include "probe_loops.h"

namespace winnow {

namespace {

constexpr int kChains = 12;

double multiply_add(int64_t num_rounds) {
  __m128 sums[kChains], a = _mm_set1_ps(1.0f), b = _mm_set1_ps(1e-9f);
  for (auto& sum : sums) sum = _mm_setzero_ps();
  for (int64_t i = 0; i < num_rounds * kProbeRoundLength; ++i) {
    asm volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) sums[c] = _mm_add_ps(sums[c], _mm_mul_ps(a, b));
  }
  double total = 0;
  for (auto& sum : sums) total += _mm_cvtss_f32(sum);
  return total;
}

uint64_t read(const void* memory, int64_t size_bytes) {
  const auto* from = static_cast<const __m128i*>(memory);
  __m128i sums[4] = {};
  for (int64_t i = 0; i + 4 <= size_bytes / 16; i += 4) {
    for (int j = 0; j < 4; ++j) sums[j] = _mm_xor_si128(sums[j], _mm_loadu_si128(from + i + j));
  }
  __m128i all = _mm_xor_si128(_mm_xor_si128(sums[0], sums[1]), _mm_xor_si128(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(all));
}

}  // namespace

ProbeLoops probe_loops_portable() { return {multiply_add, kChains * 4 * 2, read}; }

}  // namespace winnow
