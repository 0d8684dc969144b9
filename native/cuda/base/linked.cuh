// Two structs of arguments in one launch: the blocks of the first, then those of the second, which is linked to it.
#pragma once

#include <cstdint>

namespace winnow {

// The arguments that a block works on, and its place among the blocks that do.
template <typename Arguments>
struct Linked {
  Arguments arguments;
  int64_t block, num_blocks;

  // Copies: a reference to one of two parameters would need them in local memory.
  __device__ __forceinline__ Linked(const Arguments& first, const Arguments& second, int32_t first_blocks)
      : arguments(first), block(blockIdx.x), num_blocks(first_blocks) {
    if (block < first_blocks) return;
    arguments = second;
    block -= first_blocks;
    num_blocks = gridDim.x - first_blocks;
  }
};

}  // namespace winnow
