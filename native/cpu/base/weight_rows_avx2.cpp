// 256-bit vectors.
#include "base/weight_rows_kernel.h"

namespace winnow {

const WeightRows* weight_rows_avx2(WeightFormat format) { return choose_rows(format); }

}  // namespace winnow
