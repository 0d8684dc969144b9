// Numbers that kernels which add up rows of weights share with their launches.
#pragma once

#include "base/device_launch.h"

namespace winnow {

constexpr int kRowSumWarps = 16;     // of a block; each adds a part of the rows
constexpr int kRowVectorBytes = 16;  // of weights, per thread

}  // namespace winnow
