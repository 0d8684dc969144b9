#include <immintrin.h>

#include "probe_loops.h"

namespace winnow {

namespace {

constexpr int kChains = 24;

double multiply_add(int64_t num_rounds) {
  __m512 sums[kChains];
  __m512i a = _mm512_set1_epi16(0x3f80), b = _mm512_set1_epi16(0x3080);
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < num_rounds * kProbeRoundLength; ++i) {
    asm volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 24
    for (int c = 0; c < kChains; ++c)
      sums[c] = _mm512_dpbf16_ps(sums[c], reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  double total = 0;
  for (auto& sum : sums) total += _mm512_cvtss_f32(sum);
  return total;
}

}  // namespace

// Reads with avx512's loop.
ProbeLoops probe_loops_avx512_bf16() { return {multiply_add, kChains * 32 * 2, probe_loops_avx512().read}; }

}  // namespace winnow
