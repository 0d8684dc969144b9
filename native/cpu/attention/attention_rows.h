// The inner loops of attention for any vector width. Lanes is a type local to the including file, because code of two
// instruction sets must not share symbols.
//
// For each block of keys, K is transposed once for all rows of the unit. A vector then holds the scores of kLanes keys,
// so no score needs a sum over lanes. Transposing is 4 % of the work for 128 rows, and DRAM reads hide it for few rows.
// Next come the scores of all rows, the weights of kLanes rows at once, and the weighted values. V is read in its
// stored layout. Order: a score adds its products in ascending order of d. The sum of a row's weights adds lane by lane
// over the block, then the lanes in one tree. A weighted value adds the keys of a block in ascending order, starting
// from 0, and is then added to the running sum. Tiles, the number of rows at once and threads do not change this order.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "attention_split.h"

namespace winnow {

template <typename Lanes>
struct AttentionRows {
  using V = typename Lanes::V;
  static constexpr int kLanes = Lanes::kLanes;
  static constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  static constexpr float kLowest = std::numeric_limits<float>::lowest();

  // e^x for x <= 0; results below the smallest normal number become 0. x = n ln 2 + r with |r| <= ln 2 / 2, and a
  // Taylor polynomial of degree 7 (truncation 5e-9, under a tenth of an ulp). NaN stays NaN, because comparisons with
  // it are false and maximum returns its second operand.
  static V exponential(V x) {
    V clamped = Lanes::maximum(Lanes::broadcast(-88.0f), x);
    V n = Lanes::round(Lanes::multiply(clamped, Lanes::broadcast(1.44269504f)));
    V r = Lanes::multiply_add(n, Lanes::broadcast(-0.693359375f), clamped);
    r = Lanes::multiply_add(n, Lanes::broadcast(2.12194440e-4f), r);
    V p = Lanes::broadcast(1.0f / 5040);
    for (float coefficient : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) {
      p = Lanes::multiply_add(p, r, Lanes::broadcast(coefficient));
    }
    return Lanes::zero_where_below(x, -87.336544f, Lanes::scale_by_power_of_two(p, n));
  }

  static float exponential(float x) { return Lanes::first(exponential(Lanes::broadcast(x))); }

  // packed[d, j] = element d of key j of the block. The last of count keys is repeated to fill the block.
  static void pack(const float* key, int64_t width, int64_t count, float* packed) {
    for (int64_t j = 0; j < count; j += kLanes) {
      for (int64_t d = 0; d < width; d += kLanes) {
        const int64_t part = std::min<int64_t>(kLanes, width - d);
        V tile[kLanes];
        for (int i = 0; i < kLanes; ++i) {
          const float* row = key + std::min(j + i, count - 1) * width + d;
          tile[i] = part == kLanes ? Lanes::load(row) : Lanes::load_part(row, part);
        }
        Lanes::transpose(tile);
        for (int64_t i = 0; i < part; ++i) Lanes::store(packed + (d + i) * kKeysPerBlock + j, tile[i]);
      }
    }
  }

  // Adds products of elements [begin, end) to the scores of ROWS queries and VECTORS * kLanes keys. begin = 0 starts
  // the scores.
  template <int ROWS, int VECTORS>
  static void score(const float* const* queries, const float* packed, int64_t begin, int64_t end, float scale,
                    float* scores) {
    V sums[ROWS][VECTORS];
    for (int r = 0; r < ROWS; ++r) {
      for (int v = 0; v < VECTORS; ++v)
        sums[r][v] = begin == 0 ? Lanes::zero() : Lanes::load(scores + r * kKeysPerBlock + v * kLanes);
    }
    packed += begin * kKeysPerBlock;
    for (int64_t d = begin; d < end; ++d, packed += kKeysPerBlock) {
      V keys[VECTORS];
      for (int v = 0; v < VECTORS; ++v) keys[v] = Lanes::load(packed + v * kLanes);
      for (int r = 0; r < ROWS; ++r) {
        V q = Lanes::broadcast(queries[r][d]);
        for (int v = 0; v < VECTORS; ++v) sums[r][v] = Lanes::multiply_add(q, keys[v], sums[r][v]);
      }
    }
    for (int r = 0; r < ROWS; ++r) {
      for (int v = 0; v < VECTORS; ++v) {
        Lanes::store(scores + r * kKeysPerBlock + v * kLanes, Lanes::multiply(sums[r][v], Lanes::broadcast(scale)));
      }
    }
  }

  // Turns up to kLanes rows of scores of keys [begin, end) into weights relative to their new maxima; both are whole
  // vectors. keep receives the factors of the rows' earlier sums.
  static void weigh(int64_t num_rows, int64_t begin, int64_t end, float* scores, float* max, float* sum, float* keep) {
    V gathered[kLanes];
    for (V& row : gathered) row = Lanes::zero();
    for (int64_t r = 0; r < num_rows; ++r) {
      gathered[r] = Lanes::load(scores + r * kKeysPerBlock + begin);
      for (int64_t j = begin + kLanes; j < end; j += kLanes) {
        gathered[r] = Lanes::maximum(gathered[r], Lanes::load(scores + r * kKeysPerBlock + j));
      }
    }
    V before = Lanes::load_part(max, num_rows);
    V now = Lanes::maximum(Lanes::fold_each(gathered, Lanes::maximum), before);
    // Scores that are all -infinity get weights of 0, not exponentials of -infinity - -infinity.
    V factor = exponential(Lanes::subtract(before, Lanes::maximum(Lanes::broadcast(kLowest), now)));
    Lanes::store_part(max, num_rows, now);
    Lanes::store_part(keep, num_rows, factor);
    for (int64_t r = 0; r < num_rows; ++r) {
      V shift = Lanes::broadcast(max[r] < kLowest ? kLowest : max[r]);
      gathered[r] = Lanes::zero();
      for (int64_t j = begin; j < end; j += kLanes) {
        V weight = exponential(Lanes::subtract(Lanes::load(scores + r * kKeysPerBlock + j), shift));
        Lanes::store(scores + r * kKeysPerBlock + j, weight);
        gathered[r] = Lanes::add(gathered[r], weight);
      }
    }
    V kept = Lanes::multiply(Lanes::load_part(sum, num_rows), factor);
    Lanes::store_part(sum, num_rows, Lanes::add(kept, Lanes::fold_each(gathered, Lanes::add)));
  }

  // values[r] = values[r] * keep[r] + sum_j weights[r, j] * value_j over COLUMNS vectors, of which the last has `last`
  // elements.
  template <int ROWS, int COLUMNS>
  static void accumulate(const float* value, int64_t stride, int64_t count, const float* weights, const float* keep,
                         float* values, int64_t width, int64_t last) {
    V sums[ROWS][COLUMNS];
    for (auto& row : sums) {
      for (V& sum : row) sum = Lanes::zero();
    }
    for (int64_t j = 0; j < count; ++j, value += stride) {
      V columns[COLUMNS];
      for (int c = 0; c < COLUMNS; ++c) {
        columns[c] = c == COLUMNS - 1 && last < kLanes ? Lanes::load_part(value + c * kLanes, last)
                                                       : Lanes::load(value + c * kLanes);
      }
      for (int r = 0; r < ROWS; ++r) {
        V weight = Lanes::broadcast(weights[r * kKeysPerBlock + j]);
        for (int c = 0; c < COLUMNS; ++c) sums[r][c] = Lanes::multiply_add(weight, columns[c], sums[r][c]);
      }
    }
    for (int r = 0; r < ROWS; ++r) {
      V factor = Lanes::broadcast(keep[r]);
      for (int c = 0; c < COLUMNS; ++c) {
        float* target = values + r * width + c * kLanes;
        if (c == COLUMNS - 1 && last < kLanes) {
          Lanes::store_part(target, last, Lanes::multiply_add(Lanes::load_part(target, last), factor, sums[r][c]));
        } else {
          Lanes::store(target, Lanes::multiply_add(Lanes::load(target), factor, sums[r][c]));
        }
      }
    }
  }

  template <int ROWS>
  static void accumulate_all(const float* value, int64_t stride, int64_t count, const float* weights, const float* keep,
                             float* values, int64_t width) {
    accumulate_from<ROWS, Lanes::kAccumulators / ROWS>(0, value, stride, count, weights, keep, values, width);
  }

  // Columns [c, width), as many at once as there are: one vector's sums alone wait for each other.
  template <int ROWS, int COLUMNS>
  static void accumulate_from(int64_t c, const float* value, int64_t stride, int64_t count, const float* weights,
                              const float* keep, float* values, int64_t width) {
    for (; c + COLUMNS * kLanes <= width; c += COLUMNS * kLanes) {
      accumulate<ROWS, COLUMNS>(value + c, stride, count, weights, keep, values + c, width, kLanes);
    }
    if constexpr (COLUMNS > 1) {
      accumulate_from<ROWS, COLUMNS / 2>(c, value, stride, count, weights, keep, values, width);
    } else if (c < width) {
      accumulate<ROWS, 1>(value + c, stride, count, weights, keep, values + c, width, width - c);
    }
  }

  // Processes one block for rows [first, last) of the unit, which all see keys [begin, end) of the block.
  static void attend_block(const AttentionCall& call, int64_t kv_head, int64_t unit_row, int64_t first, int64_t last,
                           int64_t block, int64_t begin, int64_t end, const float* packed, AttentionState part,
                           float* scores) {
    const int64_t skipped = begin - block, count = end - begin, width = call.value_width;
    const float* value = call.value(kv_head, begin);
    if (value == nullptr) return;
    for (int64_t d = 0; d < call.key_width; d += kElementsPerPass) {
      const int64_t d_end = std::min(d + kElementsPerPass, call.key_width);
      const float scale = d_end == call.key_width ? call.scale : 1.0f;
      for_rows(first, last, [&](auto rows, int64_t r) {
        constexpr int ROWS = decltype(rows)::value, VECTORS = Lanes::kScoreVectors;
        const float* queries[ROWS];
        for (int i = 0; i < ROWS; ++i) queries[i] = call.query + call.flat(kv_head, unit_row + r + i) * call.key_width;
        for (int64_t j = skipped / (VECTORS * kLanes) * (VECTORS * kLanes); j < end - block; j += VECTORS * kLanes) {
          score<ROWS, VECTORS>(queries, packed + j, d, d_end, scale, scores + r * kKeysPerBlock + j);
        }
      });
    }
    const int64_t from = skipped / kLanes * kLanes, to = (end - block + kLanes - 1) / kLanes * kLanes;
    if (count < to - from) {
      for (int64_t r = first; r < last; ++r) {
        std::fill(scores + r * kKeysPerBlock + from, scores + r * kKeysPerBlock + skipped, kMinusInfinity);
        std::fill(scores + r * kKeysPerBlock + end - block, scores + r * kKeysPerBlock + to, kMinusInfinity);
      }
    }
    float keep[kRowsPerUnit];
    for (int64_t r = first; r < last; r += kLanes) {
      weigh(std::min<int64_t>(kLanes, last - r), from, to, scores + r * kKeysPerBlock, part.max + r, part.sum + r,
            keep + r);
    }
    for_rows(first, last, [&](auto rows, int64_t r) {
      accumulate_all<decltype(rows)::value>(value, call.value_row_stride, count, scores + r * kKeysPerBlock + skipped,
                                            keep + r, part.values + r * width, width);
    });
  }

  // Calls body(number of rows, row) with up to one tile of rows at a time.
  template <typename Body>
  static void for_rows(int64_t first, int64_t last, const Body& body) {
    int64_t r = first;
    for (; r + Lanes::kRows <= last; r += Lanes::kRows) body(std::integral_constant<int, Lanes::kRows>(), r);
    if constexpr (Lanes::kRows > 2) {
      for (; r + 2 <= last; r += 2) body(std::integral_constant<int, 2>(), r);
    }
    for (; r < last; ++r) body(std::integral_constant<int, 1>(), r);
  }

  static void attend(const AttentionCall& call, int64_t kv_head, int64_t row_begin, int64_t num_rows, int64_t split,
                     AttentionState part, float* scratch) {
    float* packed = scratch;
    float* scores = scratch + kKeysPerBlock * call.key_width;
    std::fill(part.max, part.max + num_rows, kMinusInfinity);
    std::fill(part.sum, part.sum + num_rows, 0.0f);
    std::fill(part.values, part.values + num_rows * call.value_width, 0.0f);
    int64_t begin = std::max(split * kKeysPerSplit, call.first_key(row_begin) / kKeysPerBlock * kKeysPerBlock);
    int64_t end = std::min((split + 1) * kKeysPerSplit, call.position(row_begin + num_rows - 1) + 1);
    for (int64_t block = begin; block < end; block += kKeysPerBlock) {
      const float* keys = call.key(kv_head, block);
      if (keys == nullptr) continue;
      pack(keys, call.key_width, std::min(kKeysPerBlock, end - block), packed);
      auto first_key = [&](int64_t r) { return std::max(block, call.first_key(row_begin + r)); };
      auto last_key = [&](int64_t r) { return std::min(block + kKeysPerBlock, call.position(row_begin + r) + 1); };
      for (int64_t r = 0; r < num_rows;) {
        int64_t from = first_key(r), to = last_key(r), next = r + 1;
        while (next < num_rows && first_key(next) == from && last_key(next) == to) ++next;
        if (from < to) attend_block(call, kv_head, row_begin, r, next, block, from, to, packed, part, scores);
        r = next;
      }
    }
  }

  static void merge(AttentionState total, AttentionState part, int64_t num_rows, int64_t value_width) {
    for (int64_t r = 0; r < num_rows; ++r) {
      // The sums decide, because the maximum of a row with a NaN may be anything.
      if (part.sum[r] == 0) continue;  // no key
      if (total.sum[r] == 0) {         // the first part of a row: factors 0 and 1
        total.max[r] = part.max[r];
        total.sum[r] = part.sum[r];
        for_columns(value_width, [&](int64_t c, int64_t count) {
          V joined = Lanes::load_part(part.values + r * value_width + c, count);
          Lanes::store_part(total.values + r * value_width + c, count, Lanes::add(joined, Lanes::zero()));
        });
        continue;
      }
      float max = total.max[r] > part.max[r] ? total.max[r] : part.max[r];
      float keep = exponential(total.max[r] - max), join = exponential(part.max[r] - max);
      total.max[r] = max;
      total.sum[r] = total.sum[r] * keep + part.sum[r] * join;
      for_columns(value_width, [&](int64_t c, int64_t count) {
        float* target = total.values + r * value_width + c;
        V joined = Lanes::multiply(Lanes::load_part(part.values + r * value_width + c, count), Lanes::broadcast(join));
        Lanes::store_part(target, count,
                          Lanes::multiply_add(Lanes::load_part(target, count), Lanes::broadcast(keep), joined));
      });
    }
  }

  static void finish(const AttentionCall& call, int64_t kv_head, int64_t row_begin, int64_t num_rows,
                     AttentionState total) {
    for (int64_t r = 0; r < num_rows; ++r) {
      float* output = call.output + call.flat(kv_head, row_begin + r) * call.value_width;
      for (int64_t c = 0; c < call.value_width; ++c) output[c] = total.values[r * call.value_width + c] / total.sum[r];
    }
  }

  template <typename Body>
  static void for_columns(int64_t width, const Body& body) {
    for (int64_t c = 0; c < width; c += kLanes) body(c, std::min<int64_t>(kLanes, width - c));
  }

  static constexpr AttentionKernels kernels() { return {attend, merge, finish}; }
};

}  // namespace winnow
