// Shapes of the tiles in attention_tile.cuh and their memory. attention_kernels.inc lists the tiles.
#pragma once

#include "base/device_launch.h"

namespace winnow {

constexpr int kKeysPerBlock = 64;   // scores a row has at a time
constexpr int kBlocksPerSplit = 4;  // blocks of keys
constexpr int kKeysPerSplit = kKeysPerBlock * kBlocksPerSplit;
constexpr int kRowThreads = 16;                            // threads that share rows
constexpr int kDepth = 32;                                 // elements of 64 keys in a buffer
constexpr int kKeyStride = kDepth + 4;                     // floats between them
constexpr int kColumns = 64;                               // columns of values in a buffer
constexpr int kValues = 32;                                // values in a buffer
constexpr int kBufferFloats = kKeysPerBlock * kKeyStride;  // 9 KiB, values need 8

// f32 of a tile's queries in dynamic shared memory: [pieces of kDepth elements, rows, kDepth].
WINNOW_DEVICE constexpr int64_t query_floats(int64_t rows, int64_t key_width) {
  return (key_width + kDepth - 1) / kDepth * kDepth * rows;
}

// f32 of its weights behind them: [rows, kKeysPerBlock]. The ring [stages, kBufferFloats] is the rest.
WINNOW_DEVICE constexpr int64_t weight_floats(int64_t rows) { return rows * kKeysPerBlock; }

WINNOW_DEVICE constexpr int64_t tile_bytes(int64_t rows, int64_t stages, int64_t key_width) {
  return 4 * (query_floats(rows, key_width) + weight_floats(rows) + stages * kBufferFloats);
}

// The memory that attention_merge reads: the softmax of each part, then the values at a multiple of 16 bytes.
WINNOW_DEVICE constexpr int64_t softmax_bytes(int64_t parts) { return (8 * parts + 15) / 16 * 16; }

WINNOW_DEVICE constexpr int64_t parts_bytes(int64_t parts, int64_t value_width) {
  return softmax_bytes(parts) + 4 * parts * value_width;
}

struct AttentionExtras {
  float* part_values;      // [splits, num_tokens, num_heads, value_width] sums of a split, or null: merged here
  float* part_softmax;     // [splits, num_tokens, num_heads, 2] largest exponent and sum of weights of a split
  int32_t keys_aligned;    // key_width a multiple of 16 bytes
  int32_t values_aligned;  // value_row_stride a multiple of 16 bytes
  int32_t output_aligned;  // output a multiple of 16 bytes, value_width of 4 elements
};

}  // namespace winnow
