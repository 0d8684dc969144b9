// Caches of bf16 with AMX: tiles of up to 16 rows x 16 keys of scores, and of 16 rows x 16 columns of values. The pages' own
// tiles of keys and values are the second operand as they are. Key widths that are not multiples of 32, value widths that
// are not multiples of 16, and other caches as on avx512.
//
// All rows of a unit are multiplied with all keys of a block. Weights of keys that a row does not see are 0. A value that
// is not finite would turn them into NaN, so the values of a block that some row sees in part are looked at first, and
// values that nobody has written become 0.
//
// Order    as tdpbf16ps adds: per 32 elements of a key, the even ones and the odd ones each in ascending order from zero,
//          then the sum of both is added to the score. Weighted values the same way per 32 keys, even and odd positions.
//          Subnormal numbers count as zero.
#include "attention_pairs.h"
#include "base/amx_tiles.h"

namespace winnow {

namespace {

using Rows = AttentionRows<Lanes512, PairBlocks>;
using Block = AttentionBlock<uint32_t>;

constexpr int64_t kLineBytes = 64;
constexpr int64_t kScoreBytes = kKeysPerBlock * sizeof(float);

inline void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

inline void store_sums(float* a, float* b, float* c, float* d, int64_t stride_bytes) {
  _tile_stored(0, a, stride_bytes);
  _tile_stored(1, b, stride_bytes);
  _tile_stored(2, c, stride_bytes);
  _tile_stored(3, d, stride_bytes);
}

// Lines that are read next, requested a few at a time.
class Ahead {
 public:
  Ahead(const void* from, int64_t bytes, int64_t steps)
      : next_(static_cast<const char*>(from)), end_(next_ + bytes), step_((bytes / steps + 63) / 64 * 64) {}

  void step() {
    const char* last = std::min(next_ + step_, end_);
    for (; next_ < last; next_ += kLineBytes) _mm_prefetch(next_, _MM_HINT_T0);
  }

 private:
  const char* next_;
  const char* end_;
  int64_t step_;
};

class AmxUnit {
 public:
  AmxUnit(const AttentionCall& call, int64_t num_rows, AttentionState part, const AttentionScratch& scratch)
      : call_(call),
        num_rows_(num_rows),
        groups_((num_rows + kTileRows - 1) / kTileRows),
        height_((num_rows + groups_ - 1) / groups_),
        tiles_([this](int i) { return i < 5 ? height_ : kTileRows; }),
        part_(part),
        scratch_(scratch) {}

  // Keys [from[r], to[r]) of the block are those that row r sees. next_keys: of the block after it, or null.
  void attend(const Block& block, int64_t written, const int64_t* from, const int64_t* to, const void* next_keys) {
    multiply_keys(block);
    const bool masked = weigh(from, to, written);
    Block safe = block;
    if (masked && (written < kKeysPerBlock || !is_finite(block, written))) {
      safe.values = copy_values(block, 0, written);
      if (!is_finite(safe, kKeysPerBlock)) return add_values_by_runs(block, from, to);
    }
    add_values(safe, 0, num_rows_, next_keys);
  }

 private:
  int64_t group_begin(int64_t group) const { return std::min(group * height_, num_rows_ - height_); }
  // Of rows that two groups have, the first has them.
  int64_t group_first(int64_t group) const { return group * height_; }

  void multiply_keys(const Block& block) {
    const int64_t steps = call_.key_width / kTileDepth, row_bytes = call_.key_width * sizeof(uint16_t);
    const bool few = groups_ == 1;
    order_memory();
    Ahead ahead(block.values, few ? kKeysPerBlock / 2 * block.value_stride * 4 : 0, steps);
    for (int64_t group = 0; group < groups_; ++group) {
      const int64_t begin = group_begin(group);
      const auto* rows = reinterpret_cast<const char*>(scratch_.queries) + begin * row_bytes;
      zero_sums();
      const uint32_t* keys = block.keys;
      for (int64_t k = 0; k < steps; ++k, keys += kTileDepth / 2 * kKeysPerBlock) {
        ahead.step();
        _tile_loadd(4, rows + k * kLineBytes, row_bytes);
        _tile_loadd(5, keys, kScoreBytes);
        _tile_dpbf16ps(0, 4, 5);
        _tile_loadd(6, keys + 16, kScoreBytes);
        _tile_dpbf16ps(1, 4, 6);
        _tile_loadd(7, keys + 32, kScoreBytes);
        _tile_dpbf16ps(2, 4, 7);
        _tile_loadd(5, keys + 48, kScoreBytes);
        _tile_dpbf16ps(3, 4, 5);
      }
      float* scores = scratch_.scores + begin * kKeysPerBlock;
      store_sums(scores, scores + 16, scores + 32, scores + 48, kScoreBytes);
    }
    const __m512 scale = _mm512_set1_ps(call_.scale);
    float* scores = scratch_.scores;
    for (int64_t i = 0; i < num_rows_ * kKeysPerBlock; i += 16)
      _mm512_storeu_ps(scores + i, _mm512_mul_ps(_mm512_loadu_ps(scores + i), scale));
  }

  // Turns scores into weights, 0 where a row does not see the key. Returns whether there is such a key.
  bool weigh(const int64_t* from, const int64_t* to, int64_t written) {
    bool masked = written < kKeysPerBlock;
    for (int64_t r = 0; r < num_rows_;) {
      int64_t next = r + 1;
      while (next < num_rows_ && next < r + 16 && from[next] == from[r] && to[next] == to[r]) ++next;
      float* scores = scratch_.scores + r * kKeysPerBlock;
      const int64_t begin = from[r], end = to[r];
      seen_[r] = begin < end;
      for (int64_t i = r + 1; i < next; ++i) seen_[i] = seen_[r];
      int64_t first = 0, last = 0;
      if (begin < end) {
        first = begin / 16 * 16, last = (end + 15) / 16 * 16;
        for (int64_t i = 0; i < next - r; ++i) {
          std::fill(scores + i * kKeysPerBlock + first, scores + i * kKeysPerBlock + begin, Rows::kMinusInfinity);
          std::fill(scores + i * kKeysPerBlock + end, scores + i * kKeysPerBlock + last, Rows::kMinusInfinity);
        }
        Rows::weigh([](float* row, int64_t j, __m512 weight) { return PairBlocks::store_weights(row, j, weight); },
                    next - r, first, last, scores, part_.max + r, part_.sum + r, keep_ + r);
      }
      if (begin > 0 || end < kKeysPerBlock) {
        masked = true;
        for (int64_t i = 0; i < next - r; ++i) {
          auto* weights = reinterpret_cast<uint16_t*>(scores + i * kKeysPerBlock);
          std::fill(weights, weights + first, 0);
          std::fill(weights + last, weights + kKeysPerBlock, 0);
        }
      }
      r = next;
    }
    return masked;
  }

  static bool is_finite(const Block& block, int64_t written) {
    const int64_t size = (written + 1) / 2 * block.value_stride;
    const __m512i low = _mm512_set1_epi32(0x7f80), high = _mm512_set1_epi32(0x7f800000);
    __mmask16 found = 0;
    for (int64_t i = 0; i < size; i += 16) {
      const __m512i pairs = _mm512_maskz_loadu_epi32(Lanes512::part(std::min<int64_t>(16, size - i)), block.values + i);
      found |= _mm512_cmpeq_epi32_mask(_mm512_and_si512(pairs, low), low) |
               _mm512_cmpeq_epi32_mask(_mm512_and_si512(pairs, high), high);
    }
    return found == 0;
  }

  // A copy of the block's values in which all but keys [begin, end) are 0.
  const uint32_t* copy_values(const Block& block, int64_t begin, int64_t end) {
    auto* copy = reinterpret_cast<uint32_t*>(scratch_.values) + kKeysPerBlock / 2 * call_.value_width;
    for (int64_t pair = 0; pair < kKeysPerBlock / 2; ++pair) {
      const uint32_t mask = (2 * pair >= begin && 2 * pair < end ? 0xffffu : 0) |
                            (2 * pair + 1 >= begin && 2 * pair + 1 < end ? 0xffff0000u : 0);
      for (int64_t c = 0; c < call_.value_width; ++c)
        copy[pair * call_.value_width + c] = mask == 0 ? 0 : block.values[pair * block.value_stride + c] & mask;
    }
    return copy;
  }

  // For values that are not finite and that some row must not meet.
  void add_values_by_runs(const Block& block, const int64_t* from, const int64_t* to) {
    for (int64_t r = 0; r < num_rows_;) {
      int64_t next = r + 1;
      while (next < num_rows_ && from[next] == from[r] && to[next] == to[r]) ++next;
      if (seen_[r]) add_values({block.keys, copy_values(block, from[r], to[r]), call_.value_width}, r, next, nullptr);
      r = next;
    }
  }

  // values[r] = values[r] * keep[r] + sum_j weights[r, j] * value_j for rows [first, last).
  void add_values(const Block& block, int64_t first, int64_t last, const void* next_keys) {
    const int64_t width = call_.value_width;
    const bool few = groups_ == 1 && next_keys != nullptr;
    order_memory();
    Ahead ahead(next_keys, few ? call_.key_width * kKeysPerBlock * 2 : 0, (width + 63) / 64 * 2);
    for (int64_t group = first / height_; group * height_ < last; ++group) {
      const int64_t begin = group_begin(group);
      const int64_t row = std::max(first, group_first(group)), end = std::min(last, begin + height_);
      const auto* weights = reinterpret_cast<const char*>(scratch_.scores + begin * kKeysPerBlock);
      alignas(64) float sums[4][kTileRows * 16];
      for (int64_t c = 0; c < width; c += 64) {
        const int64_t tiles = std::min<int64_t>(4, (width - c) / 16);
        zero_sums();
        for (int64_t k = 0; k < kKeysPerBlock / kTileDepth; ++k) {
          ahead.step();
          const uint32_t* values = block.values + k * kTileDepth / 2 * block.value_stride + c;
          const int64_t stride = block.value_stride * sizeof(uint32_t);
          _tile_loadd(4, weights + k * kLineBytes, kScoreBytes);
          _tile_loadd(5, values, stride);
          _tile_dpbf16ps(0, 4, 5);
          if (tiles > 1) {
            _tile_loadd(6, values + 16, stride);
            _tile_dpbf16ps(1, 4, 6);
          }
          if (tiles > 2) {
            _tile_loadd(7, values + 32, stride);
            _tile_dpbf16ps(2, 4, 7);
          }
          if (tiles > 3) {
            _tile_loadd(5, values + 48, stride);
            _tile_dpbf16ps(3, 4, 5);
          }
        }
        store_sums(sums[0], sums[1], sums[2], sums[3], kLineBytes);
        for (int64_t r = row; r < end; ++r) {
          if (!seen_[r]) continue;
          const __m512 keep = _mm512_set1_ps(keep_[r]);
          for (int64_t t = 0; t < tiles; ++t) {
            float* target = part_.values + r * width + c + t * 16;
            const __m512 sum = _mm512_load_ps(sums[t] + (r - begin) * 16);
            _mm512_storeu_ps(target, _mm512_fmadd_ps(_mm512_loadu_ps(target), keep, sum));
          }
        }
      }
    }
  }

  const AttentionCall& call_;
  const int64_t num_rows_, groups_, height_;
  const Tiles tiles_;
  const AttentionState part_;
  const AttentionScratch& scratch_;
  float keep_[kRowsPerUnit];
  bool seen_[kRowsPerUnit];
};

void attend(const AttentionCall& call, int64_t kv_head, int64_t row_begin, int64_t num_rows, int64_t split,
            AttentionState part, const AttentionScratch& scratch) {
  if (call.key_width % kTileDepth != 0 || call.value_width % 16 != 0)
    return kAttentionAvx512.attend(call, kv_head, row_begin, num_rows, split, part, scratch);
  std::fill(part.max, part.max + num_rows, Rows::kMinusInfinity);
  std::fill(part.sum, part.sum + num_rows, 0.0f);
  std::fill(part.values, part.values + num_rows * call.value_width, 0.0f);
  for (int64_t r = 0; r < num_rows; ++r)
    PairBlocks::query(call, call.query + call.flat(kv_head, row_begin + r) * call.key_width,
                      scratch.queries + r * call.key_width / 2);
  AmxUnit unit(call, num_rows, part, scratch);
  const int64_t begin = std::max(split * kKeysPerSplit, call.first_key(row_begin) / kKeysPerBlock * kKeysPerBlock);
  const int64_t end = std::min((split + 1) * kKeysPerSplit, call.position(row_begin + num_rows - 1) + 1);
  int64_t from[kRowsPerUnit], to[kRowsPerUnit];
  for (int64_t position = begin; position < end; position += kKeysPerBlock) {
    const char* keys = call.key(kv_head, position);
    const char* values = call.value(kv_head, position);
    if (keys == nullptr || values == nullptr) continue;
    const int64_t written = std::min(kKeysPerBlock, end - position);
    for (int64_t r = 0; r < num_rows; ++r) {
      from[r] = std::max<int64_t>(0, call.first_key(row_begin + r) - position);
      to[r] = std::min(kKeysPerBlock, call.position(row_begin + r) + 1 - position);
    }
    const bool more = call.tiled && position + kKeysPerBlock < end;
    unit.attend(PairBlocks::prepare(call, keys, values, written, scratch), written, from, to,
                more ? call.key(kv_head, position + kKeysPerBlock) : nullptr);
  }
}

}  // namespace

const AttentionKernels kAttentionTiles = {attend, Rows::merge, Rows::finish};

}  // namespace winnow
