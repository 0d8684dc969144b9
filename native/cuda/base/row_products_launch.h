// Shape of the tiles in row_products.cuh, and the argument of its kernels beside those of the contract.
#pragma once

#include "base/device_launch.h"

namespace winnow {

constexpr int kRowProductTileRows = 32;
constexpr int kRowProductTileColumns = 64;
constexpr int kRowProductThreads = kRowProductTileRows * kRowProductTileColumns / 16;
constexpr int kRowProductDepth = 16;  // k of a stage
constexpr int kRowProductPart = 128;  // k that is summed apart

struct RowProductExtras {
  float* parts;  // [parts of k, rows, columns] for the merge, or null: a block adds the parts itself
};

}  // namespace winnow
