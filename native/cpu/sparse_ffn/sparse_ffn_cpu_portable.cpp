// 128-bit vectors.
#include "sparse_ffn/sparse_ffn_kernel.h"

namespace winnow {

const SparseFfnRows* sparse_ffn_rows_portable(WeightFormat format) { return choose_rows(format); }

}  // namespace winnow
