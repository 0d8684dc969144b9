// Numbers that the kernels in sparse_ffn_cuda.cu and their launches share.
#pragma once

#include "base/device_launch.h"

namespace winnow {

constexpr int kSparseFfnHiddenWarps = 4;   // columns per block
constexpr int kSparseFfnOutputWarps = 16;  // parts of a token's list
constexpr int kSparseFfnVectorBytes = 16;  // of weights, per thread

}  // namespace winnow
