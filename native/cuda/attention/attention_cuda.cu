// Causal attention over a paged key-value cache, see winnow/attention.h:
//
//   z[t, h, j]   = scale * query[t, h] . key[g, j]
//   output[t, h] = sum_j e^(z[t, h, j] - m) * value[g, j] / (e^(sinks[h] - m) + sum_j e^(z[t, h, j] - m))
//                  over j <= p = *cache_length + position_offset + t; with a window, j > p - sliding_window
//
// Online softmax: Dao et al. 2022, arXiv:2205.14135, algorithm 1; splits and their merge as in Flash-Decoding; sinks:
// Xiao et al. 2023, arXiv:2309.17453.
//
// A row is a query of a kv head: row r is token r / group_size and head r % group_size of the group. A block processes
// a tile of rows, so keys are read once for all heads of a group. It goes over its keys in blocks of 64. For each block
// it computes scores from pieces of 32 elements of the 64 keys, the online softmax in registers, and weighted values
// from pieces of 32 values by 64 columns. Pieces of keys and of values pass through one ring of buffers, which cp.async
// fills ahead. attention_kernels.inc lists the tiles.
//
// Layout   query, output row-major; pages in rows, addresses multiples of 16. Buffered keys of f32 are 36 floats
//          apart, those of 16 bits swap their vectors: eight keys of which 16 bytes each are read touch 32 different
//          banks. Weights of odd rows have their 16-key halves
//          swapped, because a warp writes two rows at once.
// Grid     x: tile of rows, the longest first. y: kv head, and within it groups of COLUMN_BLOCKS * 64 value columns
//          (each group computes the scores again). z: splits of 256 keys, taken in turn. The position lies in device
//          memory, and the grid of a captured launch does not depend on it.
// Block    16 * ROW_LANES threads. 16 neighbouring threads share ROWS_PER_LANE rows: each computes the scores of keys
//          lane, lane + 16, ... and the columns 4 * lane, ...
// Memory   per tile and key block, reads only the keys and values that a row of the tile sees; shared: see
//          AttentionTile.
// Order    f32. A score is one chain of fused products along the elements. A row's weights are added per lane, then by
//          a butterfly. A block's weighted values are one chain along the keys and are then added to the running sum.
//          Splits lie at fixed absolute positions and are merged in ascending order: by the tile itself, through
//          output, if it computes all splits (parts null), otherwise by attention_merge. Every tile shape does the same
//          operations on an element, so a row's bits depend only on its own query, keys and values: not on the tile
//          shape, other rows or the grid. No atomics.
//          Splits are half as long as on a CPU, because short contexts gain more from additional blocks than merging
//          costs.
// Needs    sizes >= 1; positions below 2^30, num_tokens * num_heads below 2^31; page_size a multiple of 64; page tables
//          in device memory, whose contents are trusted.
#include <cstdint>

#include "attention/attention_split.cuh"
#include "attention/attention_tile.cuh"
#include "base/row.cuh"

#define WINNOW_ATTENTION_KERNEL(name, element, row_lanes, rows_per_lane, column_blocks, stages, blocks, ...)          \
  extern "C" __global__ void __launch_bounds__(winnow::kRowThreads* row_lanes, blocks)                                \
      name(const __grid_constant__ winnow_attention_arguments arguments,                                              \
           const __grid_constant__ winnow::AttentionExtras extras) {                                                  \
    extern __shared__ float4 shared[];                                                                                \
    const winnow::AttentionCall call{arguments, extras};                                                              \
    using Element = winnow::ElementOf<static_cast<winnow::DType>(element)>;                                           \
    winnow::AttentionTile<Element, row_lanes, rows_per_lane, column_blocks, stages>(call,                             \
                                                                                    reinterpret_cast<float*>(shared)) \
        .run();                                                                                                       \
  }
#include "attention/attention_kernels.inc"

// output = the splits of a row merged in ascending order.
//
// Grid     x: row of output.
// Block    any number of threads; each strides over pieces of four columns.
// Memory   reads value_width + 2 floats per split, writes value_width.
extern "C" __global__ void attention_merge(const winnow_attention_arguments arguments,
                                           const winnow::AttentionExtras extras) {
  using namespace winnow;
  const AttentionCall call{arguments, extras};
  const int32_t num_heads = call.num_heads(), value_width = call.value_width(), sliding_window = call.sliding_window();
  const int first = call.first_position(), row = blockIdx.x;
  const int first_slot = Keys::of(first, sliding_window).first_split();
  const Keys keys = Keys::of(first + row / num_heads, sliding_window);
  const int begin = keys.first_split() - first_slot, end = keys.last_split() + 1 - first_slot;
  for (int piece = threadIdx.x; 4 * piece < value_width; piece += blockDim.x) {
    Softmax total = Softmax::of_sink(call.arguments.sinks, row % num_heads);
    float4 value = make_float4(0, 0, 0, 0);
#pragma unroll 4
    for (int slot = begin; slot < end; ++slot) {
      const int64_t part = int64_t{slot} * gridDim.x + row;
      const float2 softmax = call.part_softmax()[part];
      const float2 factors = total.merge({softmax.x, softmax.y});
      const float4 joined = scaled(
          load_piece(call.extras.part_values + part * value_width, piece, value_width, call.extras.output_aligned),
          factors.y);
      value = multiply_add(value, factors.x, joined);
    }
    store_piece(call.arguments.output + int64_t{row} * value_width, piece, value_width, call.extras.output_aligned,
                divided(value, total.sum));
  }
}
