// Numbers that the kernels in sparse_ffn_cuda.cu and their launches share.
#pragma once

#include "base/row_sums_launch.h"

namespace winnow {

constexpr int kSparseFfnHiddenWarps = 4;  // columns per block

}  // namespace winnow
