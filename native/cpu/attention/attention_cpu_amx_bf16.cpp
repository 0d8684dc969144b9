// Caches of bf16 with AMX: tiles of up to 16 rows x 16 keys of scores, and of 16 rows x 16 columns of values. The pages' own
// tiles of keys and values are the second operand as they are. Key widths that are not multiples of 32, value widths that
// are not multiples of 16, and other caches as on avx512.
//
// Rows form groups of two tiles, so that a tile of keys or values is read once for both. A group meets all keys of a split
// before the next group does, so that its queries and sums stay in L1. Tile products and exponentials gain nothing from
// being interleaved: measured, they take the sum of their times.
//
// All rows of a group are multiplied with all keys of a chunk. Weights of keys that a row does not see are 0. A value that
// is not finite would turn them into NaN, so the values of a chunk that some row sees in part are looked at first, and
// values that nobody has written become 0.
//
// One or two rows per head are multiplied with FMAs in the same order (attention_few_rows.h).
//
// Order    as tdpbf16ps adds: per 32 elements of a key, the even ones and the odd ones each in ascending order from zero,
//          then the sum of both is added to the score. Weighted values the same way per 32 keys, even and odd positions.
//          Subnormal numbers count as zero.
#include "attention_ahead.h"
#include "attention_few_rows.h"

namespace winnow {

namespace {

using Rows = AttentionRows<Lanes512, PairBlocks>;
using Block = AttentionBlock<uint32_t>;

constexpr int64_t kRows = 256;  // of a unit: L3 is read half as often as with 128
static_assert(kRows <= kMostRows, "other kernels take over units of some widths");

// What rows see of a chunk: row r, keys [from[r], to[r]), if masked; else all rows see all keys.
struct Sight {
  bool masked, finite;  // finite: all values that have been written
  int64_t written;      // keys of the chunk
  const int64_t *from, *to;

  bool none(int64_t row) const { return masked && from[row] >= to[row]; }
};

template <typename Requests>
class AmxUnit {
 public:
  AmxUnit(const AttentionCall& call, float factor, int64_t num_rows, const AttentionScratch& scratch, Requests requests)
      : call_(call),
        num_rows_(num_rows),
        num_tiles_((num_rows + kTileRows - 1) / kTileRows),
        height_((num_rows + num_tiles_ - 1) / num_tiles_),
        tiles_([this](int i) { return i < 6 ? height_ : kTileRows; }),
        scale_(factor),
        scratch_(scratch),
        requests_(requests) {}

  // What follows is about the rows of another head.
  void use(int64_t head, AttentionState part) {
    part_ = part;
    queries_ = reinterpret_cast<const uint16_t*>(scratch_.queries) + head * num_rows_ * call_.key_width;
  }

  int64_t num_groups() const { return (num_tiles_ + 1) / 2; }
  int64_t first_row(int64_t group) const { return tile_first(2 * group); }
  int64_t end_row(int64_t group) const { return tile_end(last_tile(group)); }

  void attend(const Chunk& chunk, const Sight& sight, int64_t group) {
    const char* rows[2] = {};
    for (int64_t i = 0; i < tiles_of(group); ++i)
      rows[i] = reinterpret_cast<const char*>(queries_ + tile_begin(2 * group + i) * call_.key_width);
    order_memory();
    if (use_fma_) {
      multiply_keys_of_rows(chunk, num_rows_, rows[0], call_.key_width, scores_, requests_);
    } else {
      multiply_keys(chunk, tiles_of(group), rows, call_.key_width, scores_, requests_);
    }
    order_memory();
    weigh(chunk, sight, group);
    order_memory();
    if (sight.masked && !sight.finite) return add_values_by_runs(chunk, sight, group);
    const bool copied = sight.masked && sight.written < chunk.end * kKeysPerBlock;
    add_values(copied ? with_values(chunk, 0, sight.written) : chunk, sight, group, first_row(group), end_row(group));
  }

 private:
  int64_t tiles_of(int64_t group) const { return std::min<int64_t>(2, num_tiles_ - 2 * group); }
  int64_t last_tile(int64_t group) const { return 2 * group + tiles_of(group) - 1; }
  // The first row of a tile. Of rows that two tiles have, the first has them.
  int64_t tile_begin(int64_t tile) const { return std::min(tile * height_, num_rows_ - height_); }
  int64_t tile_first(int64_t tile) const { return tile * height_; }
  int64_t tile_end(int64_t tile) const { return std::min(tile * height_ + height_, num_rows_); }

  void weigh(const Chunk& chunk, const Sight& sight, int64_t group) {
    const int64_t begin = chunk.begin * kKeysPerBlock, end = chunk.end * kKeysPerBlock;
    for (int64_t tile = 2 * group; tile <= last_tile(group); ++tile) {
      const int64_t row = tile_first(tile), num_rows = tile_end(tile) - row;
      float* scores = scores_ + tile % 2 * kTileScores + (row - tile_begin(tile)) * kKeysPerChunk;
      if (sight.masked) hide(sight, row, num_rows, begin, end, scores);
      weigh_tile(num_rows, begin, end, scale_, scores, part_.max + row, part_.sum + row, keep_ + row, requests_);
    }
  }

  // Scores of keys that a row does not see become -infinity.
  static void hide(const Sight& sight, int64_t first, int64_t num_rows, int64_t begin, int64_t end, float* scores) {
    for (int64_t r = first; r < first + num_rows; ++r, scores += kKeysPerChunk) {
      const int64_t from = std::min(std::max(sight.from[r], begin), end);
      const int64_t to = std::max(std::min(sight.to[r], end), from);
      std::fill(scores + begin, scores + from, Rows::kMinusInfinity);
      std::fill(scores + to, scores + end, Rows::kMinusInfinity);
    }
  }

  // values[r] = values[r] * keep[r] + sum_j weights[r, j] * value_j for rows [first, last) of a group. Sums are added while
  // tiles compute the next ones.
  void add_values(const Chunk& chunk, const Sight& sight, int64_t group, int64_t first, int64_t last) {
    const int64_t columns = 64 / tiles_of(group);
    alignas(64) float sums[2][4][kTileRows * 16];
    for (int64_t column = 0; column < call_.value_width + columns; column += columns) {
      const int64_t step = column / columns;
      const int64_t column_tiles = tiles_at(column, columns);
      if (column_tiles > 0 && use_fma_) {
        multiply_values_of_rows(chunk, num_rows_, scores_, column, column_tiles, sums[step % 2], requests_);
      } else if (column_tiles > 0) {
        multiply_values(chunk, tiles_of(group), scores_, column, column_tiles, sums[step % 2], requests_);
      }
      order_memory();
      if (column > 0) add_sums(sight, group, first, last, column - columns, columns, sums[(step + 1) % 2]);
    }
  }

  int64_t tiles_at(int64_t column, int64_t columns) const { return std::min(columns, call_.value_width - column) / 16; }

  void add_sums(const Sight& sight, int64_t group, int64_t first, int64_t last, int64_t column, int64_t columns,
                const float (&sums)[4][kTileRows * 16]) {
    const int64_t num_tiles = tiles_of(group), width = call_.value_width;
    const bool whole_pair = num_tiles == 2 && column + columns <= width;
    for (int64_t i = 0; i < num_tiles; ++i) {
      const int64_t tile = 2 * group + i, begin = std::max(first, tile_first(tile)),
                    end = std::min(last, tile_end(tile));
      float* target = part_.values + begin * width + column;
      const float* sum = sums[2 * i] + (begin - tile_begin(tile)) * 16;
      if (whole_pair) {
        add_to_rows<2>(sight, begin, end, sum, target, width);
      } else {
        for (int64_t t = 0; t < tiles_at(column, columns); ++t)
          add_to_rows<1>(sight, begin, end, sum + t * kTileRows * 16, target + t * 16, width);
      }
    }
  }

  // target[r] = target[r] * keep[r] + sum for rows [begin, end) and 16 columns of each of TILES tiles.
  template <int TILES>
  void add_to_rows(const Sight& sight, int64_t begin, int64_t end, const float* sum, float* target,
                   int64_t width) const {
    const bool masked = sight.masked;
    const int64_t *from = sight.from, *to = sight.to;
    for (int64_t r = begin; r < end; ++r, sum += 16, target += width) {
      if (masked && from[r] >= to[r]) continue;
      const __m512 keep = _mm512_set1_ps(keep_[r]);
      for (int t = 0; t < TILES; ++t) {
        const __m512 added = _mm512_load_ps(sum + t * kTileRows * 16);
        _mm512_storeu_ps(target + t * 16, _mm512_fmadd_ps(_mm512_loadu_ps(target + t * 16), keep, added));
      }
    }
  }

  // For values that are not finite and that some row must not meet.
  void add_values_by_runs(const Chunk& chunk, const Sight& sight, int64_t group) {
    for (int64_t r = first_row(group), end = end_row(group); r < end;) {
      int64_t next = r + 1;
      while (next < end && sight.from[next] == sight.from[r] && sight.to[next] == sight.to[r]) ++next;
      if (!sight.none(r)) add_values(with_values(chunk, sight.from[r], sight.to[r]), sight, group, r, next);
      r = next;
    }
  }

  // The chunk with copies of its values in which all but keys [begin, end) are 0.
  Chunk with_values(const Chunk& chunk, int64_t begin, int64_t end) {
    Chunk result = chunk;
    for (int64_t i = chunk.begin; i < chunk.end; ++i) {
      if (begin <= i * kKeysPerBlock && end >= (i + 1) * kKeysPerBlock) continue;  // all of its values
      auto* copy =
          reinterpret_cast<uint32_t*>(scratch_.values) + (kChunkBlocks + i) * kKeysPerBlock / 2 * call_.value_width;
      copy_values(chunk.blocks[i], begin - i * kKeysPerBlock, end - i * kKeysPerBlock, copy);
      result.blocks[i].values = copy;
      result.blocks[i].value_stride = call_.value_width;
    }
    return result;
  }

  void copy_values(const Block& block, int64_t begin, int64_t end, uint32_t* copy) const {
    for (int64_t pair = 0; pair < kKeysPerBlock / 2; ++pair) {
      const uint32_t mask = (2 * pair >= begin && 2 * pair < end ? 0xffffu : 0) |
                            (2 * pair + 1 >= begin && 2 * pair + 1 < end ? 0xffff0000u : 0);
      const __m512i kept = _mm512_set1_epi32(static_cast<int>(mask));
      for (int64_t c = 0; c < call_.value_width; c += 16) {
        const __m512i values = _mm512_loadu_si512(block.values + pair * block.value_stride + c);
        _mm512_storeu_si512(copy + pair * call_.value_width + c, _mm512_and_si512(values, kept));
      }
    }
  }

  const AttentionCall& call_;
  const int64_t num_rows_, num_tiles_, height_;
  const Tiles tiles_;
  const bool use_fma_ = num_rows_ <= kMostFmaRows;
  const float scale_;  // of exponents to the base 2
  AttentionState part_{};
  const uint16_t* queries_ = nullptr;
  const AttentionScratch& scratch_;
  const Requests requests_;
  float keep_[kRows];
  alignas(64) float scores_[2 * kTileScores];
};

// Whether the first `written` values of a chunk are all finite.
bool is_finite(const Chunk& chunk, int64_t written, int64_t width) {
  const __m512i low = _mm512_set1_epi32(0x7f80), high = _mm512_set1_epi32(0x7f800000);
  __mmask16 found = 0;
  for (int64_t key = chunk.begin * kKeysPerBlock; key < std::min(written, chunk.end * kKeysPerBlock); key += 2) {
    const Block& block = chunk.blocks[key / kKeysPerBlock];
    const uint32_t* values = block.values + key % kKeysPerBlock / 2 * block.value_stride;
    const __m512i ignored = key + 1 < written ? _mm512_setzero_si512() : high;
    for (int64_t c = 0; c < width; c += 16) {
      const __m512i pairs = _mm512_andnot_si512(ignored, _mm512_loadu_si512(values + c));
      found |= _mm512_cmpeq_epi32_mask(_mm512_and_si512(pairs, low), low) |
               _mm512_cmpeq_epi32_mask(_mm512_and_si512(pairs, high), high);
    }
  }
  return found == 0;
}

// The blocks of a chunk, converted where pages hold rows. Those of pages that were cleared meanwhile are left out.
Chunk chunk_at(const AttentionCall& call, int64_t kv_head, int64_t position, int64_t end,
               const AttentionScratch& scratch) {
  Chunk chunk{{}, 0, 0};
  for (int64_t i = 0; i < kChunkBlocks; ++i) {
    const int64_t begin = position + i * kKeysPerBlock;
    const char* keys = begin < end ? call.key(kv_head, begin) : nullptr;
    const char* values = begin < end ? call.value(kv_head, begin) : nullptr;
    if (keys == nullptr || values == nullptr) continue;
    AttentionScratch mine = scratch;
    mine.keys += i * kKeysPerBlock / 2 * call.padded_key_width();
    mine.values += i * kKeysPerBlock / 2 * call.value_width;
    chunk.blocks[i] = PairBlocks::prepare(call, keys, values, std::min(kKeysPerBlock, end - begin), mine);
    if (chunk.begin == chunk.end) chunk.begin = i;
    chunk.end = i + 1;
  }
  return chunk;
}

// Queries as bf16, times the sign of the scale: scores are then multiplied by what remains, which is above 0. So hidden
// ones, -infinity, stay that.
void round_queries(const AttentionCall& call, int64_t kv_head, int64_t row_begin, int64_t num_rows, float* queries) {
  const __m512 sign = _mm512_set1_ps(call.scale < 0 ? -1.0f : call.scale > 0 ? 1.0f : 0.0f);
  auto* to = reinterpret_cast<uint16_t*>(queries);
  for (int64_t r = 0; r < num_rows; ++r, to += call.key_width) {
    const float* query = call.query + call.flat(kv_head, row_begin + r) * call.key_width;
    for (int64_t c = 0; c < call.key_width; c += 32) {
      const __m512 low = _mm512_mul_ps(_mm512_loadu_ps(query + c), sign);
      const __m512 high = _mm512_mul_ps(_mm512_loadu_ps(query + c + 16), sign);
      _mm512_storeu_si512(to + c, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    }
  }
}

// What exponents to the base 2 multiply scores by.
float factor_of(float scale) {
  return scale == 0 ? 1.0f : std::min(std::fabs(scale) * kLog2E, std::numeric_limits<float>::max());
}

// The keys of one split, for some rows of a unit after the other.
class AmxSplit {
 public:
  AmxSplit(const AttentionCall& call, const AttentionTask& task) : call_(call), row_begin_(task.row_begin) {
    unit_end_ = call.position(task.row_begin + task.num_rows - 1) + 1;
    begin_ = std::max(task.split * kKeysPerSplit, call.first_key(row_begin_) / kKeysPerChunk * kKeysPerChunk);
    end_ = std::min((task.split + 1) * kKeysPerSplit, unit_end_);
  }

  // What follows is about another head.
  void use(int64_t kv_head) {
    kv_head_ = kv_head;
    for (Known& known : finite_) known = Known::nothing;
  }

  int64_t begin() const { return begin_; }
  int64_t end() const { return end_; }
  int64_t unit_end() const { return unit_end_; }

  // Groups [first, last) of the unit's rows with the chunk at a position.
  template <typename Unit>
  void attend(Unit& unit, int64_t position, int64_t first, int64_t last, const AttentionScratch& scratch) {
    const Chunk chunk = chunk_at(call_, kv_head_, position, end_, scratch);
    if (chunk.begin == chunk.end) return;
    for (int64_t group = first; group < last; ++group) {
      const int64_t begin_row = unit.first_row(group), end_row = unit.end_row(group);
      const int64_t sees_last = call_.position(row_begin_ + end_row - 1);
      if (sees_last < position) continue;
      Sight sight{false, true, end_ - position, from_, to_};
      sight.masked = call_.first_key(row_begin_ + end_row - 1) > position ||
                     call_.position(row_begin_ + begin_row) + 1 < position + chunk.end * kKeysPerBlock;
      if (sight.masked) {
        sight.finite = is_finite_at(chunk, position);
        for (int64_t r = begin_row; r < end_row; ++r) {
          from_[r] = std::max(chunk.begin * kKeysPerBlock, call_.first_key(row_begin_ + r) - position);
          to_[r] = std::min(chunk.end * kKeysPerBlock, call_.position(row_begin_ + r) + 1 - position);
        }
      }
      unit.attend(chunk, sight, group);
    }
  }

 private:
  bool is_finite_at(const Chunk& chunk, int64_t position) {
    Known& known = finite_[position % kKeysPerSplit / kKeysPerChunk];
    if (known == Known::nothing)
      known = is_finite(chunk, end_ - position, call_.value_width) ? Known::finite : Known::not_finite;
    return known == Known::finite;
  }

  enum class Known : int8_t { nothing, finite, not_finite };

  const AttentionCall& call_;
  const int64_t row_begin_;
  int64_t kv_head_ = 0, begin_, end_, unit_end_;
  Known finite_[kKeysPerSplit / kKeysPerChunk] = {};
  int64_t from_[kRows], to_[kRows];
};

// One tile of rows of each head. Chunk after chunk, since all are done with it as soon as it arrives.
void attend_few(const AttentionCall& call, const AttentionTask& task, const AttentionStates& parts,
                const AttentionScratch& scratch) {
  AmxSplit keys(call, task);
  TilesAhead ahead(call, task, keys.begin(), call.cut ? keys.end() : keys.unit_end());
  AmxUnit<TileRequests> unit(call, factor_of(call.scale), task.num_rows, scratch, TileRequests{ahead});
  for (int64_t position = keys.begin(); position < keys.end(); position += kKeysPerChunk) {
    for (int64_t head = 0; head < task.num_heads; ++head) {
      keys.use(task.head_begin + head);
      unit.use(head, parts.of(head));
      keys.attend(unit, position, 0, 1, scratch);
    }
  }
}

// Many rows of one head. They read a split again and again from L2, while the next one arrives there.
void attend_many(const AttentionCall& call, const AttentionTask& task, const AttentionStates& parts,
                 const AttentionScratch& scratch) {
  AmxSplit keys(call, task);
  const int64_t until = call.cut ? keys.end() : keys.unit_end();
  LinesAhead ahead(call, task.head_begin, keys.end(), std::min(until, keys.end() + kKeysPerSplit));
  AmxUnit<LineRequests> unit(call, factor_of(call.scale), task.num_rows, scratch, LineRequests{ahead});
  keys.use(task.head_begin);
  unit.use(0, parts.of(0));
  const int64_t groups_at_once = call.tiled ? 1 : unit.num_groups();  // rows of a cache are converted once
  for (int64_t group = 0; group < unit.num_groups(); group += groups_at_once) {
    for (int64_t position = keys.begin(); position < keys.end(); position += kKeysPerChunk)
      keys.attend(unit, position, group, group + groups_at_once, scratch);
  }
}

void attend(const AttentionCall& call, const AttentionTask& task, const AttentionStates& parts,
            const AttentionScratch& scratch) {
  if (call.key_width % kTileDepth != 0 || call.value_width % 16 != 0)
    return kAttentionAvx512.attend(call, task, parts, scratch);
  for (int64_t head = 0; head < task.num_heads; ++head) {
    const AttentionState part = parts.of(head);
    std::fill(part.max, part.max + task.num_rows, Rows::kMinusInfinity);
    std::fill(part.sum, part.sum + task.num_rows, 0.0f);
    std::fill(part.values, part.values + task.num_rows * call.value_width, 0.0f);
    if (!scratch.has_queries)
      round_queries(call, task.head_begin + head, task.row_begin, task.num_rows,
                    scratch.queries + head * task.num_rows * call.key_width / 2);
  }
  task.num_rows <= kTileRows ? attend_few(call, task, parts, scratch) : attend_many(call, task, parts, scratch);
  // Exponents become those of e.
  for (int64_t head = 0; head < task.num_heads; ++head) {
    float* max = parts.of(head).max;
    for (int64_t r = 0; r < task.num_rows; ++r) max[r] *= kLog2;
  }
}

}  // namespace

const AttentionKernels kAttentionTiles = {attend, Rows::merge, Rows::finish, kRows};

}  // namespace winnow
