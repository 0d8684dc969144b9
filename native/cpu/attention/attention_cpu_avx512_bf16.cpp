// Caches of bf16 with vdpbf16ps: two products per lane and instruction. Other caches as on avx512.
#include "attention_pairs.h"

namespace winnow {

namespace {

struct PairProducts : PairBlocks {
  using Operand = __m512i;

  static Operand load(const Unit* p) { return _mm512_loadu_si512(p); }
  static Operand load_part(const Unit* p, int64_t count) { return _mm512_maskz_loadu_epi32(Lanes512::part(count), p); }
  static Operand broadcast(Unit x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  static V multiply_add(Operand a, Operand b, V c) {
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  static Operand keep(Operand units, bool low, bool high) {
    return _mm512_and_si512(units, _mm512_set1_epi32((low ? 0xffff : 0) | (high ? static_cast<int>(0xffff0000) : 0)));
  }
};

}  // namespace

const AttentionKernels kAttentionPairs = AttentionRows<Lanes512, PairProducts>::kernels();

}  // namespace winnow
