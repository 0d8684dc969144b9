// Shapes of the grouped GEMM's blocks, and what its launches need beside the arguments: grouped_gemm_cuda.cu.
// grouped_gemm_kernels.inc has the kernels of tiles.
#pragma once

#include "base/device_launch.h"

namespace winnow {

// Dot products.
constexpr int kGemvThreads = 128;
constexpr int kGemvWarps = kGemvThreads / kWarpSize;
constexpr int kDots = 8;          // rows of weights per warp: a lane has 8 loads of 16 bytes in flight
constexpr int kVectorBytes = 16;  // what a thread loads of a row of weights at once

// Tiles.
constexpr int kTileThreads = 128;
constexpr int kTileRows = 64;         // rows of one expert
constexpr int kTileWeightRows = 128;  // rows of weights: gated, half of the gate and half of up
constexpr int kTileDepth = 32;        // elements of k per stage

// One product in a launch of dot products. A launch takes WINNOW_GROUPED_GEMM_MAX_PRODUCTS of these.
struct GemvExtras {
  int32_t num_blocks;       // of this product; 0: there is no such product
  int32_t threads_per_dot;  // how many threads share one sum: kWarpSize or kGemvThreads
};

}  // namespace winnow
