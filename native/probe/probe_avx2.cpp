#include <immintrin.h>

#include "probe_loops.h"

namespace winnow {

namespace {

constexpr int kChains = 12;

double multiply_add(int64_t num_rounds) {
  __m256 sums[kChains], a = _mm256_set1_ps(1.0f), b = _mm256_set1_ps(1e-9f);
  for (auto& sum : sums) sum = _mm256_setzero_ps();
  for (int64_t i = 0; i < num_rounds * kProbeRoundLength; ++i) {
    asm volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) sums[c] = _mm256_fmadd_ps(a, b, sums[c]);
  }
  double total = 0;
  for (auto& sum : sums) total += _mm256_cvtss_f32(sum);
  return total;
}

uint64_t read(const void* memory, int64_t size_bytes) {
  const auto* from = static_cast<const char*>(memory);
  __m256i sums[4] = {};
  for (int64_t i = 0; i + 128 <= size_bytes; i += 128) {
    _mm_prefetch(from + i + 4096, _MM_HINT_T0);
    _mm_prefetch(from + i + 4096 + 64, _MM_HINT_T0);
    for (int j = 0; j < 4; ++j)
      sums[j] = _mm256_xor_si256(sums[j], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i + 32 * j)));
  }
  __m256i all = _mm256_xor_si256(_mm256_xor_si256(sums[0], sums[1]), _mm256_xor_si256(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm256_extract_epi64(all, 0));
}

}  // namespace

ProbeLoops probe_loops_avx2() { return {multiply_add, kChains * 8 * 2, read}; }

}  // namespace winnow
