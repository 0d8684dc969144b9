#include <immintrin.h>

#include "probe_loops.h"

namespace winnow {

namespace {

constexpr int kChains = 24;

double multiply_add(int64_t num_rounds) {
  __m512 sums[kChains], a = _mm512_set1_ps(1.0f), b = _mm512_set1_ps(1e-9f);
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < num_rounds * kProbeRoundLength; ++i) {
    asm volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 24
    for (int c = 0; c < kChains; ++c) sums[c] = _mm512_fmadd_ps(a, b, sums[c]);
  }
  double total = 0;
  for (auto& sum : sums) total += _mm512_cvtss_f32(sum);
  return total;
}

// Prefetches 4 KiB ahead, because the hardware prefetcher stops at page boundaries.
uint64_t read(const void* memory, int64_t size_bytes) {
  const auto* from = static_cast<const char*>(memory);
  __m512i sums[4] = {};
  for (int64_t i = 0; i + 256 <= size_bytes; i += 256) {
    for (int j = 0; j < 4; ++j) {
      _mm_prefetch(from + i + 4096 + 64 * j, _MM_HINT_T0);
      sums[j] = _mm512_xor_si512(sums[j], _mm512_loadu_si512(from + i + 64 * j));
    }
  }
  __m512i all = _mm512_xor_si512(_mm512_xor_si512(sums[0], sums[1]), _mm512_xor_si512(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(_mm512_castsi512_si128(all)));
}

}  // namespace

ProbeLoops probe_loops_avx512() { return {multiply_add, kChains * 16 * 2, read}; }

}  // namespace winnow
