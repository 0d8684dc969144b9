// bf16 by bf16 with vdpbf16ps: two products per lane and instruction. Other types and formats as on avx512.
#include "grouped_gemm_avx512.h"

namespace winnow {

namespace {

struct Avx512Bf16 : Avx512Accumulator {
  using Packed = uint16_t;
  using Vector = __m512i;
  static constexpr int kRows = 4, kColumns = 6, kStep = kF32Step, kVectors = 1;

  static Vector load(const uint16_t* from) { return _mm512_load_si512(from); }
  static void store(uint16_t* to, Vector value) { _mm512_store_si512(to, value); }
  static Accumulator multiply_add(Vector a, Vector b, Accumulator c) {
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};

}  // namespace

GroupedGemmKernel grouped_gemm_kernel_avx512_bf16(DType input_type, WeightFormat weight_format) {
  if (input_type == DType::bf16 && weight_format == WeightFormat::bf16)
    return BlockKernel<Avx512Bf16, Bf16PairDecoder>::run<uint16_t>;
  return choose_kernel<Avx512>(input_type, weight_format);
}

}  // namespace winnow
