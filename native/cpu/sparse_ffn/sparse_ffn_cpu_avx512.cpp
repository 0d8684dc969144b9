// 512-bit vectors.
#include "sparse_ffn/sparse_ffn_kernel.h"

namespace winnow {

const SparseFfnRows* sparse_ffn_rows_avx512(WeightFormat format) { return choose_rows(format); }

}  // namespace winnow
