// One block's tile of attention: a ring of buffers that cp.async fills ahead, the scores of a block of keys, their online
// softmax and weighted values. attention_cuda.cu describes the whole.
#pragma once

#include <cstdint>
#include <type_traits>

#include "attention/attention_copy.cuh"
#include "attention/attention_split.cuh"
#include "base/async_copy.cuh"
#include "base/element.cuh"
#include "base/row.cuh"

namespace winnow {

constexpr int kKeysPerThread = kKeysPerBlock / kRowThreads;
constexpr int kPiecesPerColumn = kKeysPerBlock / kValues;  // of a column of buffers, for all values of a block

// T is the element of the cache. Elements of 16 bits become f32 when they are read from the ring; products and sums are
// those of f32. With bf16, queries and weights are rounded to bf16 first.
template <typename T, int ROW_LANES, int ROWS_PER_LANE, int COLUMN_BLOCKS, int STAGES>
struct AttentionTile {
  static constexpr int kStride = sizeof(T) == 4 ? kKeyStride : kDepth;
  static constexpr int THREADS = kRowThreads * ROW_LANES;
  static constexpr int ROWS = ROW_LANES * ROWS_PER_LANE;

  // Dynamic shared memory, f32, sized by attention_launch.h: the queries, the weights, the ring of buffers.
  const AttentionCall& call;
  float* const queries;
  float* const weights;
  float* const ring;
  const int lane = threadIdx.x % kRowThreads, row_lane = threadIdx.x / kRowThreads;
  const int group_size = call.num_heads() / call.num_kv_heads();
  const int num_column_groups = (call.value_width() + COLUMN_BLOCKS * kColumns - 1) / (COLUMN_BLOCKS * kColumns);
  const int kv_head = blockIdx.y / num_column_groups;
  const int first_column = blockIdx.y % num_column_groups * COLUMN_BLOCKS * kColumns;
  const int num_columns = min(call.value_width() - first_column, COLUMN_BLOCKS* kColumns);
  const int num_rows = call.num_tokens() * group_size;
  const int first_row = static_cast<int>(gridDim.x - 1 - blockIdx.x) * ROWS;
  const int first_position = call.first_position();
  const Keys first_keys = keys_of(first_row), last_keys = keys_of(first_row + ROWS - 1);  // of the tile's rows
  const int last_block = (last_keys.end - 1) / kKeysPerBlock;

  // The next piece to copy into the ring: a block of keys, its first key and value, and the piece within it.
  struct Source {
    int block;
    const T* key;
    const T* value;
    int piece;
  } next;
  int slot = 0;  // of the ring, taken next

  float4 values[COLUMN_BLOCKS][ROWS_PER_LANE];  // weighted sums of the split
  Softmax split[ROWS_PER_LANE];
  Softmax total;  // of the splits before, for the row whose number is this thread's lane

  __device__ AttentionTile(const AttentionCall& call, float* shared)
      : call(call),
        queries(shared),
        weights(shared + query_floats(ROWS, call.key_width())),
        ring(weights + weight_floats(ROWS)) {}

  __device__ int row(int r) const { return first_row + row_lane * ROWS_PER_LANE + r; }
  // Rows after the last one repeat it and are not stored.
  __device__ int existing(int row) const { return row < num_rows ? row : num_rows - 1; }
  __device__ Keys keys_of(int row) const {
    return Keys::of(first_position + existing(row) / group_size, call.sliding_window());
  }
  __device__ int flat(int row) const {
    return row / group_size * call.num_heads() + kv_head * group_size + row % group_size;
  }

  __device__ const T* page_row(const uint64_t* pages, int position, int64_t stride) const {
    const int page = position / call.page_size(), slot = position - page * call.page_size();
    return reinterpret_cast<const T*>(pages[page]) + (kv_head * call.page_size() + slot) * stride;
  }

  __device__ int num_key_pieces() const { return (call.key_width() + kDepth - 1) / kDepth; }
  __device__ int num_value_pieces() const { return (num_columns + kColumns - 1) / kColumns * kPiecesPerColumn; }

  __device__ void seek(int block) {
    next.block = block;
    next.piece = 0;
    if (block > last_block) return;
    next.key = page_row(call.arguments.key_pages, block * kKeysPerBlock, call.key_width());
    next.value = page_row(call.arguments.value_pages, block * kKeysPerBlock, call.value_row_stride()) + first_column;
  }

  __device__ int block_after(int block) const {
    const bool split_ends = (block + 1) % kBlocksPerSplit == 0;
    return block + 1 + (split_ends ? static_cast<int>(gridDim.z - 1) * kBlocksPerSplit : 0);
  }

  // Starts to fill a buffer with the next piece of keys or values, if there is one. Always commits a group of copies.
  __device__ void fill(float* memory) {
    T* buffer = reinterpret_cast<T*>(memory);
    if (next.block <= last_block) {
      const int block_begin = next.block * kKeysPerBlock;
      const int begin = max(first_keys.begin - block_begin, 0);
      const int end = min(last_keys.end - block_begin, kKeysPerBlock);
      const int key_pieces = num_key_pieces();
      if (next.piece < key_pieces) {
        const int depth = next.piece * kDepth;
        copy_rows<kKeysPerBlock, kDepth, THREADS, sizeof(T) == 2>(buffer, kStride, next.key + depth, call.key_width(),
                                                                  begin, end, call.key_width() - depth,
                                                                  call.extras.keys_aligned);
      } else {
        const int piece = next.piece - key_pieces, column = piece / kPiecesPerColumn * kColumns,
                  value = piece % kPiecesPerColumn * kValues;
        copy_rows<kValues, kColumns, THREADS, false>(
            buffer, kColumns, next.value + int64_t{value} * call.value_row_stride() + column, call.value_row_stride(),
            begin - value, end - value, num_columns - column, call.extras.values_aligned);
      }
      if (++next.piece == key_pieces + num_value_pieces()) seek(block_after(next.block));
    }
    commit_copies();
  }

  // Waits until all threads can read the next piece, and starts to refill the buffer of the piece before it.
  __device__ const T* take() {
    wait_copies<STAGES - 2>();
    __syncthreads();
    const int before = slot == 0 ? STAGES - 1 : slot - 1;
    fill(ring + before * kBufferFloats);
    const T* buffer = reinterpret_cast<const T*>(ring + slot * kBufferFloats);
    slot = slot == STAGES - 1 ? 0 : slot + 1;
    return buffer;
  }

  // A query's element or a weight as its products take it.
  __device__ static float as_multiplied(float value) {
    if constexpr (std::is_same<T, bf16>::value) return to_f32(from_f32<bf16>(value));
    return value;
  }

  __device__ void load_queries() {
    for (int r = 0; r < ROWS; ++r) {
      const float* source = call.arguments.query + int64_t{flat(existing(first_row + r))} * call.key_width();
      for (int i = threadIdx.x; i < num_key_pieces() * kDepth; i += THREADS)
        queries[(i / kDepth * ROWS + r) * kDepth + i % kDepth] = i < call.key_width() ? as_multiplied(source[i]) : 0.0f;
    }
  }

  // scores[r][k] += query r . key lane + 16 k over a piece. A thread reads 16 bytes of a key at once: so eight keys touch
  // all banks.
  __device__ void add_products(const T* keys, int piece, float (&scores)[ROWS_PER_LANE][kKeysPerThread]) const {
    const float* query = queries + (piece * ROWS + row_lane * ROWS_PER_LANE) * kDepth;
    if constexpr (sizeof(T) == 4) {
#pragma unroll 2
      for (int d = 0; d < kDepth; d += 4) {
        float4 key[kKeysPerThread];
        for (int k = 0; k < kKeysPerThread; ++k) key[k] = load_four(keys + (lane + k * kRowThreads) * kStride + d);
        add_four(query + d, key, scores);
      }
    } else {
#pragma unroll 1
      for (int d = 0; d < kDepth; d += 8) {
        uint4 eight[kKeysPerThread];
        for (int k = 0; k < kKeysPerThread; ++k)
          eight[k] = *reinterpret_cast<const uint4*>(keys + (lane + k * kRowThreads) * kStride + swapped(lane, d));
        float4 key[kKeysPerThread];
        for (int k = 0; k < kKeysPerThread; ++k) key[k] = widened(eight[k].x, eight[k].y);
        add_four(query + d, key, scores);
        for (int k = 0; k < kKeysPerThread; ++k) key[k] = widened(eight[k].z, eight[k].w);
        add_four(query + d + 4, key, scores);
      }
    }
  }

  __device__ static float4 widened(uint32_t first, uint32_t second) {
    const float2 low = unpack(first, T{}), high = unpack(second, T{});
    return make_float4(low.x, low.y, high.x, high.y);
  }

  __device__ static void add_four(const float* query, const float4 (&key)[kKeysPerThread],
                                  float (&scores)[ROWS_PER_LANE][kKeysPerThread]) {
#pragma unroll
    for (int r = 0; r < ROWS_PER_LANE; ++r) {
      const float4 q = *reinterpret_cast<const float4*>(query + r * kDepth);
      for (int k = 0; k < kKeysPerThread; ++k) {
        float& score = scores[r][k];
        score = __fmaf_rn(q.x, key[k].x, score);
        score = __fmaf_rn(q.y, key[k].y, score);
        score = __fmaf_rn(q.z, key[k].z, score);
        score = __fmaf_rn(q.w, key[k].w, score);
      }
    }
  }

  // The part of a block that a row sees.
  struct Range {
    int begin, end;
  };
  // In most blocks, all rows of the tile see all keys. Only the other blocks, called masked, handle rows separately.
  __device__ bool is_masked(int block) const {
    return last_keys.begin > block * kKeysPerBlock || first_keys.end < (block + 1) * kKeysPerBlock;
  }
  __device__ Range seen_of(int r, int block, bool masked) const {
    if (!masked) return {0, kKeysPerBlock};
    const Keys keys = keys_of(row(r));
    const int first = block * kKeysPerBlock;
    return {min(max(keys.begin - first, 0), kKeysPerBlock), min(max(keys.end - first, 0), kKeysPerBlock)};
  }

  // The weights of the lane's first row for the first or the second 16 of 32 keys.
  // See Layout in attention_cuda.cu.
  __device__ float* sixteen_weights(int which) const {
    return weights + row_lane * ROWS_PER_LANE * kKeysPerBlock + (which ^ (row_lane & 1)) * 16;
  }

  // Writes the weights of one row and adds them to its softmax. Returns the factor for the row's earlier values.
  __device__ float weigh(int r, int block, bool masked, const float (&scores)[kKeysPerThread]) {
    const Range seen = seen_of(r, block, masked);
    float exponents[kKeysPerThread], largest = kMinusInfinity, sum = 0.0f;
    for (int k = 0; k < kKeysPerThread; ++k) {
      const int j = lane + k * kRowThreads;
      exponents[k] = j >= seen.begin && j < seen.end ? __fmul_rn(scores[k], call.arguments.scale) : kMinusInfinity;
      largest = fmaxf(largest, exponents[k]);
    }
    for (int distance = kRowThreads / 2; distance > 0; distance /= 2)
      largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, distance));
    largest = fmaxf(largest, split[r].max);
    const float base = Softmax::shift(largest), keep = exponential(split[r].max - base);
    for (int k = 0; k < kKeysPerThread; ++k) {
      const float weight = as_multiplied(exponential(exponents[k] - base));
      sixteen_weights(k % 2)[r * kKeysPerBlock + k / 2 * 32 + lane] = weight;
      sum += weight;
    }
    for (int distance = kRowThreads / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(kAllLanes, sum, distance);
    split[r] = {largest, __fmaf_rn(split[r].sum, keep, sum)};
    return keep;
  }

  // sums[r] += weights of row r times a piece of values.
  __device__ void add_values(const T* piece, int first_value, float4 (&sums)[ROWS_PER_LANE]) const {
    const float* const halves[2] = {sixteen_weights(0) + first_value, sixteen_weights(1) + first_value};
#pragma unroll
    for (int j = 0; j < kValues; j += 4) {
      float4 value[4];
      for (int k = 0; k < 4; ++k) value[k] = load_four(piece + (j + k) * kColumns + 4 * lane);
#pragma unroll
      for (int r = 0; r < ROWS_PER_LANE; ++r) {
        const float4 weight = *reinterpret_cast<const float4*>(halves[j / 16] + r * kKeysPerBlock + j % 16);
        sums[r] = multiply_add(value[0], weight.x, sums[r]);
        sums[r] = multiply_add(value[1], weight.y, sums[r]);
        sums[r] = multiply_add(value[2], weight.z, sums[r]);
        sums[r] = multiply_add(value[3], weight.w, sums[r]);
      }
    }
  }

  // As add_values, for masked blocks. Keys that a row does not see are skipped, because their values are undefined.
  __device__ void add_seen_values(const T* piece, int first_value, int block, float4 (&sums)[ROWS_PER_LANE]) const {
#pragma unroll
    for (int r = 0; r < ROWS_PER_LANE; ++r) {
      const Range seen = seen_of(r, block, true);
#pragma unroll 1
      for (int j = max(seen.begin - first_value, 0); j < min(seen.end - first_value, kValues); ++j) {
        const float4 value = load_four(piece + j * kColumns + 4 * lane);
        sums[r] = multiply_add(value, sixteen_weights(j / 16)[r * kKeysPerBlock + first_value + j % 16], sums[r]);
      }
    }
  }

  __device__ void attend_block(int block) {
    const bool masked = is_masked(block);
    float scores[ROWS_PER_LANE][kKeysPerThread] = {}, keep[ROWS_PER_LANE];
    const int key_pieces = num_key_pieces();
#pragma unroll 1
    for (int piece = 0; piece < key_pieces; ++piece) add_products(take(), piece, scores);
#pragma unroll
    for (int r = 0; r < ROWS_PER_LANE; ++r) keep[r] = weigh(r, block, masked, scores[r]);

    float4 sums[ROWS_PER_LANE];
    const int value_pieces = num_value_pieces();
#pragma unroll 1
    for (int piece = 0; piece < value_pieces; ++piece) {
      const T* buffer = take();
      const int first_value = piece % kPiecesPerColumn * kValues;
      if (first_value == 0) {
#pragma unroll
        for (float4& sum : sums) sum = make_float4(0, 0, 0, 0);
      }
      if (masked) {
        add_seen_values(buffer, first_value, block, sums);
      } else {
        add_values(buffer, first_value, sums);
      }
      if (first_value + kValues == kKeysPerBlock) join(piece / kPiecesPerColumn, block, masked, keep, sums);
    }
  }

  // values[c] = values[c] * keep + sums. The index must be a compile-time constant so that values stay in registers.
  __device__ void join(int column_block, int block, bool masked, const float (&keep)[ROWS_PER_LANE],
                       const float4 (&sums)[ROWS_PER_LANE]) {
#pragma unroll
    for (int c = 0; c < COLUMN_BLOCKS; ++c) {
      if (c != column_block) continue;
#pragma unroll
      for (int r = 0; r < ROWS_PER_LANE; ++r) {
        const Range seen = seen_of(r, block, masked);
        if (seen.begin < seen.end) values[c][r] = multiply_add(values[c][r], keep[r], sums[r]);
      }
    }
  }

  // Ends a row's split: stores it for attention_merge, or merges it into output, which holds the earlier splits.
  __device__ void finish_split(int index, int r) {
    const int row = this->row(r);
    const Keys keys = keys_of(row);
    Softmax merged = {__shfl_sync(kAllLanes, total.max, r, kRowThreads),
                      __shfl_sync(kAllLanes, total.sum, r, kRowThreads)};
    const float2 factors = merged.merge(split[r]);
    if (row >= num_rows || index < keys.first_split() || index > keys.last_split()) return;
    if (lane == r) total = merged;
    const bool keep = call.extras.part_values != nullptr;
    const int slot = index - Keys::of(first_position, call.sliding_window()).first_split();
    const int64_t part = int64_t{slot} * call.num_tokens() * call.num_heads() + flat(row);
    if (keep && lane == 0 && first_column == 0) call.part_softmax()[part] = make_float2(split[r].max, split[r].sum);
    float* target = keep ? call.extras.part_values + part * call.value_width()
                         : call.arguments.output + int64_t{flat(row)} * call.value_width();
#pragma unroll
    for (int c = 0; c < COLUMN_BLOCKS; ++c) {
      const int column = first_column + c * kColumns + 4 * lane;
      if (column >= call.value_width()) break;
      float4 value = values[c][r];
      if (!keep) {
        float4 before = make_float4(0, 0, 0, 0);
        if (index > keys.first_split())
          before = load_piece(target, column / 4, call.value_width(), call.extras.output_aligned);
        value = multiply_add(before, factors.x, scaled(value, factors.y));
        if (index == keys.last_split()) value = divided(value, merged.sum);
      }
      store_piece(target, column / 4, call.value_width(), call.extras.output_aligned, value);
    }
  }

  __device__ void run() {
    const int first_split = first_keys.first_split() + blockIdx.z;
    if (first_split > last_keys.last_split()) return;
    seek(blockIdx.z == 0 ? first_keys.begin / kKeysPerBlock : first_split * kBlocksPerSplit);
    int block = next.block;
#pragma unroll 1
    for (int stage = 0; stage < STAGES - 1; ++stage) fill(ring + stage * kBufferFloats);
    load_queries();
#pragma unroll
    for (int r = 0; r < ROWS_PER_LANE; ++r) {
      if (lane == r) total = Softmax::of_sink(call.arguments.sinks, flat(existing(row(r))) % call.num_heads());
    }
    for (int index = first_split; index <= last_keys.last_split(); index += gridDim.z) {
#pragma unroll
      for (int r = 0; r < ROWS_PER_LANE; ++r) {
        split[r] = Softmax();
        for (int c = 0; c < COLUMN_BLOCKS; ++c) values[c][r] = make_float4(0, 0, 0, 0);
      }
      for (; block <= last_block && block / kBlocksPerSplit == index; block = block_after(block)) attend_block(block);
#pragma unroll
      for (int r = 0; r < ROWS_PER_LANE; ++r) finish_split(index, r);
    }
    wait_copies<0>();
  }
};

}  // namespace winnow
