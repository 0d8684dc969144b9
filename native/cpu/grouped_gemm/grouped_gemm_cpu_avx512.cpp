#include "grouped_gemm_avx512.h"

namespace winnow {

GroupedGemmKernel grouped_gemm_kernel_avx512(DType input_type, WeightFormat weight_format) {
  return choose_kernel<Avx512>(input_type, weight_format);
}

}  // namespace winnow
