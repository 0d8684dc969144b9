// Arguments of the kernels in active_columns_cuda.cu beside those of the contract.
#pragma once

#include "base/device_launch.h"

namespace winnow {

constexpr int kActiveColumnsThreads = 256;

struct ActiveColumnsExtras {
  int32_t* refused;  // INT32_MAX - t for the first token t whose logits are refused; 0: none
};

}  // namespace winnow
