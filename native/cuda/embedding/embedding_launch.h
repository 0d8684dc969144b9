// Arguments of the kernels in embedding_cuda.cu beside those of the contract.
#pragma once

#include "base/device_launch.h"

namespace winnow {

constexpr int kEmbeddingVectorBytes = 16;  // what a thread reads at once
constexpr int kEmbeddingCheckThreads = 1024;

struct EmbeddingExtras {
  int32_t* refused;    // [2] INT32_MAX - t for the first token t with an id outside the table, or 0: kept until it is
                       // reported; then whether embedding_check found one for the launch after it
  int32_t check_here;  // 1: every block checks all ids itself
};

}  // namespace winnow
