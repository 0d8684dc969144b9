// The inner loops of attention for any vector width. Lanes is a type local to the including file, because code of two
// instruction sets must not share symbols.
//
// For each block of keys, a tile holds one column of 64 keys in neighbouring elements, or two columns in pairs. So a vector
// holds the scores of kLanes keys, and no score needs a sum over lanes. Pages in tiles are used as they are, if Products
// multiplies their elements. Otherwise a block is widened, or transposed, once for all rows of the unit: for 8 rows that
// is a quarter of the work, and DRAM reads hide it. Next come the scores of all rows, the weights of kLanes rows at once,
// and the weighted values.
//
// Order: a score adds its products in ascending order of d. The sum of a row's weights adds lane by lane over the block,
// then the lanes in one tree. A weighted value adds the keys of a block in ascending order, starting from 0, and is then
// added to the running sum. Tiles, the number of rows at once and threads do not change this order.
//
// Products is the arithmetic of scores and weighted values: its Unit is an f32, or a pair of bf16 of which both products
// are added at once.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "attention_block.h"
#include "attention_split.h"

namespace winnow {

template <typename Lanes, typename Products>
struct AttentionRows {
  using V = typename Lanes::V;
  using Unit = typename Products::Unit;
  static constexpr int64_t kPair = Products::kPair;
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

  // Adds products of units [begin, end) to the scores of ROWS queries and VECTORS * kLanes keys. begin = 0 starts
  // the scores.
  template <int ROWS, int VECTORS>
  static void score(const Unit* const* queries, const Unit* packed, int64_t begin, int64_t end, float scale,
                    float* scores) {
    V sums[ROWS][VECTORS];
    for (int r = 0; r < ROWS; ++r) {
      for (int v = 0; v < VECTORS; ++v)
        sums[r][v] = begin == 0 ? Lanes::zero() : Lanes::load(scores + r * kKeysPerBlock + v * kLanes);
    }
    packed += begin * kKeysPerBlock;
    for (int64_t d = begin; d < end; ++d, packed += kKeysPerBlock) {
      typename Products::Operand keys[VECTORS];
      for (int v = 0; v < VECTORS; ++v) keys[v] = Products::load(packed + v * kLanes);
      for (int r = 0; r < ROWS; ++r) {
        auto q = Products::broadcast(queries[r][d]);
        for (int v = 0; v < VECTORS; ++v) sums[r][v] = Products::multiply_add(q, keys[v], sums[r][v]);
      }
    }
    for (int r = 0; r < ROWS; ++r) {
      for (int v = 0; v < VECTORS; ++v) {
        Lanes::store(scores + r * kKeysPerBlock + v * kLanes, Lanes::multiply(sums[r][v], Lanes::broadcast(scale)));
      }
    }
  }

  // Turns up to kLanes rows of scores of keys [begin, end) into weights relative to their new maxima; both are whole
  // vectors. keep receives the factors of the rows' earlier sums. store puts a vector of weights in the place that
  // accumulate reads, and returns what it has stored.
  template <typename Store>
  static void weigh(const Store& store, int64_t num_rows, int64_t begin, int64_t end, float* scores, float* max,
                    float* sum, float* keep) {
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
        gathered[r] = Lanes::add(gathered[r], store(scores + r * kKeysPerBlock, j, weight));
      }
    }
    V kept = Lanes::multiply(Lanes::load_part(sum, num_rows), factor);
    Lanes::store_part(sum, num_rows, Lanes::add(kept, Lanes::fold_each(gathered, Lanes::add)));
  }

  // sums += weights times one unit of values for each of COLUMNS vectors, of which the last has `last` columns. keep_low
  // and keep_high: whether the unit's keys count; what else a page holds need not be a number.
  template <int ROWS, int COLUMNS>
  static inline __attribute__((always_inline)) void add_unit(const Unit* value, const Unit* weights, int64_t last,
                                                             bool keep_low, bool keep_high, V (&sums)[ROWS][COLUMNS]) {
    typename Products::Operand columns[COLUMNS];
    for (int c = 0; c < COLUMNS; ++c) {
      columns[c] = c == COLUMNS - 1 && last < kLanes ? Products::load_part(value + c * kLanes, last)
                                                     : Products::load(value + c * kLanes);
      if constexpr (kPair > 1) {
        if (!keep_low || !keep_high) columns[c] = Products::keep(columns[c], keep_low, keep_high);
      }
    }
    for (int r = 0; r < ROWS; ++r) {
      auto weight = Products::broadcast(weights[r * kKeysPerBlock]);
      for (int c = 0; c < COLUMNS; ++c) sums[r][c] = Products::multiply_add(weight, columns[c], sums[r][c]);
    }
  }

  // values[r] = values[r] * keep[r] + sum_j weights[r, j] * value_j over keys [begin, end) and COLUMNS vectors, of which
  // the last has `last` columns.
  template <int ROWS, int COLUMNS>
  static void accumulate(const Unit* value, int64_t stride, int64_t begin, int64_t end, const Unit* weights,
                         const float* keep, float* values, int64_t width, int64_t last) {
    V sums[ROWS][COLUMNS];
    for (auto& row : sums) {
      for (V& sum : row) sum = Lanes::zero();
    }
    int64_t unit = begin / kPair;
    if (begin % kPair != 0) {
      add_unit(value + unit * stride, weights + unit, last, false, end % kPair == 0 || unit < end / kPair, sums);
      ++unit;
    }
    for (; unit < end / kPair; ++unit) add_unit(value + unit * stride, weights + unit, last, true, true, sums);
    if (end % kPair != 0 && unit == end / kPair)
      add_unit(value + unit * stride, weights + unit, last, true, false, sums);
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

  // Columns [c, width), as many at once as there are: one vector's sums alone wait for each other.
  template <int ROWS, int COLUMNS>
  static void accumulate_from(int64_t c, const Unit* value, int64_t stride, int64_t begin, int64_t end,
                              const Unit* weights, const float* keep, float* values, int64_t width) {
    for (; c + COLUMNS * kLanes <= width; c += COLUMNS * kLanes) {
      accumulate<ROWS, COLUMNS>(value + c, stride, begin, end, weights, keep, values + c, width, kLanes);
    }
    if constexpr (COLUMNS > 1) {
      accumulate_from<ROWS, COLUMNS / 2>(c, value, stride, begin, end, weights, keep, values, width);
    } else if (c < width) {
      accumulate<ROWS, 1>(value + c, stride, begin, end, weights, keep, values + c, width, width - c);
    }
  }

  // Processes one block for rows [first, last) of the unit, which all see keys [begin, end) of the block.
  static void attend_block(const AttentionCall& call, const Unit* const* queries, int64_t first, int64_t last,
                           int64_t begin, int64_t end, const AttentionBlock<Unit>& block, AttentionState part,
                           float* scores) {
    const int64_t width = call.value_width, units = (call.key_width + kPair - 1) / kPair;
    for (int64_t d = 0; d < units; d += kUnitsPerPass) {
      const int64_t d_end = std::min(d + kUnitsPerPass, units);
      const float scale = d_end == units ? call.scale : 1.0f;
      for_rows(first, last, [&](auto rows, int64_t r) {
        constexpr int ROWS = decltype(rows)::value, VECTORS = Lanes::kScoreVectors;
        for (int64_t j = begin / (VECTORS * kLanes) * (VECTORS * kLanes); j < end; j += VECTORS * kLanes) {
          score<ROWS, VECTORS>(queries + r, block.keys + j, d, d_end, scale, scores + r * kKeysPerBlock + j);
        }
      });
    }
    const int64_t from = begin / kLanes * kLanes, to = (end + kLanes - 1) / kLanes * kLanes;
    if (end - begin < to - from) {
      for (int64_t r = first; r < last; ++r) {
        std::fill(scores + r * kKeysPerBlock + from, scores + r * kKeysPerBlock + begin, kMinusInfinity);
        std::fill(scores + r * kKeysPerBlock + end, scores + r * kKeysPerBlock + to, kMinusInfinity);
      }
    }
    float keep[kMostRows];
    for (int64_t r = first; r < last; r += kLanes) {
      weigh_as(call, std::min<int64_t>(kLanes, last - r), from, to, scores + r * kKeysPerBlock, part.max + r,
               part.sum + r, keep + r);
    }
    for_rows(first, last, [&](auto rows, int64_t r) {
      accumulate_from<decltype(rows)::value, Lanes::kAccumulators / decltype(rows)::value>(
          0, block.values, block.value_stride, begin, end, reinterpret_cast<const Unit*>(scores + r * kKeysPerBlock),
          keep + r, part.values + r * width, width);
    });
  }

  static void weigh_as(const AttentionCall& call, int64_t num_rows, int64_t from, int64_t to, float* scores, float* max,
                       float* sum, float* keep) {
    if constexpr (kPair > 1) {
      weigh([](float* row, int64_t j, V weight) { return Products::store_weights(row, j, weight); }, num_rows, from, to,
            scores, max, sum, keep);
    } else if (call.element == WINNOW_DTYPE_BF16) {
      weigh(
          [](float* row, int64_t j, V weight) {
            V rounded = Lanes::round_to_bf16(weight);
            Lanes::store(row + j, rounded);
            return rounded;
          },
          num_rows, from, to, scores, max, sum, keep);
    } else {
      weigh(
          [](float* row, int64_t j, V weight) {
            Lanes::store(row + j, weight);
            return weight;
          },
          num_rows, from, to, scores, max, sum, keep);
    }
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

  static void attend(const AttentionCall& call, const AttentionTask& task, const AttentionStates& parts,
                     const AttentionScratch& scratch) {
    const int64_t row_begin = task.row_begin, num_rows = task.num_rows;
    const Unit* queries[kMostRows];
    for (int64_t head = 0; head < task.num_heads; ++head) {
      const AttentionState part = parts.of(head);
      std::fill(part.max, part.max + num_rows, kMinusInfinity);
      std::fill(part.sum, part.sum + num_rows, 0.0f);
      std::fill(part.values, part.values + num_rows * call.value_width, 0.0f);
      for (int64_t r = 0; r < num_rows; ++r) {
        const int64_t flat = call.flat(task.head_begin + head, row_begin + r), i = head * num_rows + r;
        queries[i] =
            Products::query(call, call.query + flat * call.key_width, scratch.queries + i * call.padded_key_width());
      }
    }
    int64_t begin = std::max(task.split * kKeysPerSplit, call.first_key(row_begin) / kKeysPerBlock * kKeysPerBlock);
    int64_t end = std::min((task.split + 1) * kKeysPerSplit, call.position(row_begin + num_rows - 1) + 1);
    for (int64_t position = begin; position < end; position += kKeysPerBlock) {
      for (int64_t head = 0; head < task.num_heads; ++head)
        attend_position(call, task, head, position, end, queries + head * num_rows, parts.of(head), scratch);
    }
  }

  // The block at a position, of keys before end, for the rows of a head of the task.
  static void attend_position(const AttentionCall& call, const AttentionTask& task, int64_t head, int64_t position,
                              int64_t end, const Unit* const* queries, AttentionState part,
                              const AttentionScratch& scratch) {
    const char* keys = call.key(task.head_begin + head, position);
    const char* values = call.value(task.head_begin + head, position);
    if (keys == nullptr || values == nullptr) return;
    const auto block = Products::prepare(call, keys, values, std::min(kKeysPerBlock, end - position), scratch);
    auto first_key = [&](int64_t r) { return std::max<int64_t>(0, call.first_key(task.row_begin + r) - position); };
    auto end_key = [&](int64_t r) { return std::min(kKeysPerBlock, call.position(task.row_begin + r) + 1 - position); };
    for (int64_t r = 0; r < task.num_rows;) {
      int64_t from = first_key(r), to = end_key(r), next = r + 1;
      while (next < task.num_rows && first_key(next) == from && end_key(next) == to) ++next;
      if (from < to) attend_block(call, queries, r, next, from, to, block, part, scratch.scores);
      r = next;
    }
  }

  static void merge(AttentionState total, AttentionState part, int64_t num_rows, int64_t value_width) {
    for (int64_t r = 0; r < num_rows; r += kLanes)
      merge_rows(total.max + r, total.sum + r, total.values + r * value_width, part.max + r, part.sum + r,
                 part.values + r * value_width, std::min<int64_t>(kLanes, num_rows - r), value_width);
  }

  // Up to kLanes rows, whose factors are computed at once.
  static void merge_rows(float* max, float* sum, float* values, const float* part_max, const float* part_sum,
                         const float* part_values, int64_t num_rows, int64_t value_width) {
    float keep[kLanes], join[kLanes];
    const V before = Lanes::load_part(max, num_rows), other = Lanes::load_part(part_max, num_rows);
    const V now = Lanes::maximum(before, other);
    Lanes::store(keep, exponential(Lanes::subtract(before, now)));
    Lanes::store(join, exponential(Lanes::subtract(other, now)));
    float larger[kLanes];
    Lanes::store(larger, now);
    for (int64_t r = 0; r < num_rows; ++r, values += value_width, part_values += value_width) {
      // The sums decide, because the maximum of a row with a NaN may be anything.
      if (part_sum[r] == 0) continue;  // no key
      if (sum[r] == 0) {               // the first part of a row: factors 0 and 1
        max[r] = part_max[r];
        sum[r] = part_sum[r];
        for_columns(value_width, [&](int64_t c, int64_t count) {
          V joined = Lanes::load_part(part_values + c, count);
          Lanes::store_part(values + c, count, Lanes::add(joined, Lanes::zero()));
        });
        continue;
      }
      max[r] = larger[r];
      sum[r] = sum[r] * keep[r] + part_sum[r] * join[r];
      for_columns(value_width, [&](int64_t c, int64_t count) {
        V joined = Lanes::multiply(Lanes::load_part(part_values + c, count), Lanes::broadcast(join[r]));
        V kept = Lanes::load_part(values + c, count);
        Lanes::store_part(values + c, count, Lanes::multiply_add(kept, Lanes::broadcast(keep[r]), joined));
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

  static constexpr AttentionKernels kernels() { return {attend, merge, finish, kRowsPerUnit}; }
};

}  // namespace winnow
