// bf16 by bf16 with vdpbf16ps: two products per lane and instruction, subnormals taken for zero. Other types and
// formats as on avx512.
#include "grouped_gemm_avx512.h"

namespace winnow {

namespace {

struct Avx512Bf16 : Avx512Accumulator {
  using Packed = uint16_t;
  using Vector = __m512i;
  static constexpr int kRows = 4, kColumns = 6, kStep = kF32Step, kVectors = 1;
  static constexpr int kPanelTileRows = 6, kPanelTilePanels = 4;

  static Vector broadcast(const uint16_t* pair) {
    int32_t bits;
    std::memcpy(&bits, pair, sizeof(bits));
    return _mm512_set1_epi32(bits);
  }
  static Vector load(const uint16_t* from) { return _mm512_load_si512(from); }
  static void store(uint16_t* to, Vector value) { _mm512_store_si512(to, value); }
  static Accumulator multiply_add(Vector a, Vector b, Accumulator c) {
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};

}  // namespace

GroupedGemmKernel grouped_gemm_kernel_avx512_bf16(Operands operands, WeightFormat weight_format) {
  using Pairs = BlockKernel<Avx512Bf16, Bf16PairDecoder>;
  if (operands != Operands::f32 && weight_format == WeightFormat::bf16)
    return operands == Operands::bf16 ? Pairs::run<uint16_t> : Pairs::run<RoundedF32>;
  return choose_kernel<Avx512>(operands, weight_format);
}

GroupedGemmKernel panel_kernel_avx512_bf16(Operands operands, WeightFormat weight_format) {
  using Pairs = PanelKernel<Avx512Bf16, PanelPairDecoder>;
  if (operands != Operands::f32 && weight_format == WeightFormat::bf16)
    return operands == Operands::bf16 ? Pairs::run<uint16_t> : Pairs::run<RoundedF32>;
  return choose_panel_kernel<Avx512>(operands, weight_format);
}

}  // namespace winnow
