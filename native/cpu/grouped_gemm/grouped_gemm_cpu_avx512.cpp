#include "grouped_gemm_avx512.h"

namespace winnow {

GroupedGemmKernel grouped_gemm_kernel_avx512(Operands operands, WeightFormat weight_format) {
  return choose_kernel<Avx512>(operands, weight_format);
}

GroupedGemmKernel panel_kernel_avx512(Operands operands, WeightFormat weight_format) {
  return choose_panel_kernel<Avx512>(operands, weight_format);
}

}  // namespace winnow
