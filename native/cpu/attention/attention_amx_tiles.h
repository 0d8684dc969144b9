// Products and weights of one chunk of keys with AMX, for up to two tiles of rows. A chunk is two blocks: its exponents
// share one largest one, so that weighted values are scaled half as often.
#pragma once

#include "attention_pairs.h"
#include "base/amx_tiles.h"

namespace winnow {

namespace {

constexpr int64_t kChunkBlocks = 2, kKeysPerChunk = kChunkBlocks * kKeysPerBlock;
constexpr int64_t kLineBytes = 64, kScoreBytes = kKeysPerChunk * sizeof(float);
constexpr int64_t kTileScores = kTileRows * kKeysPerChunk;
constexpr float kLog2E = 1.44269504f, kLog2 = 0.693147181f;

// 2^x for x <= 0, relative error below 3e-6: a thousandth of the rounding to bf16 that follows. 2^x is 2^floor(x) times a
// minimax polynomial of degree 4 that is 1 at 0: a largest exponent that stays must not change earlier sums. NaN stays NaN.
inline __m512 power_of_two(__m512 x) {
  const __m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(0.013426675f);
  for (float coefficient : {0.052242488f, 0.2412802f, 0.69304484f, 1.0f})
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(coefficient));
  return _mm512_scalef_ps(p, x);
}

inline void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// The blocks of a chunk that lie in pages, [begin, end) of two.
struct Chunk {
  AttentionBlock<uint32_t> blocks[kChunkBlocks];
  int64_t begin, end;
};

// scores[row, key] = rows times keys for one or two tiles of rows, kTileScores apart. rows: of each tile, key_width bf16 per
// row. requests.tile() is called after each product of one tile of rows.
template <typename Requests>
void multiply_keys(const Chunk& chunk, int64_t num_tiles, const char* const (&rows)[2], int64_t key_width,
                   float* scores, Requests requests) {
  constexpr int64_t kBlockBytes = kKeysPerBlock * sizeof(uint32_t);  // of a row of key tiles
  const int64_t row_bytes = key_width * static_cast<int64_t>(sizeof(uint16_t)), num_keys = 64 / num_tiles;
  for (int64_t key = chunk.begin * kKeysPerBlock; key < chunk.end * kKeysPerBlock; key += num_keys) {
    const uint32_t* keys = chunk.blocks[key / kKeysPerBlock].keys + key % kKeysPerBlock;
    zero_sums();
    for (int64_t k = 0; k < row_bytes; k += kLineBytes, keys += kTileDepth / 2 * kKeysPerBlock) {
      _tile_loadd(4, rows[0] + k, row_bytes);
      _tile_loadd(6, keys, kBlockBytes);
      _tile_dpbf16ps(0, 4, 6);
      requests.tile();
      _tile_loadd(7, keys + 16, kBlockBytes);
      _tile_dpbf16ps(1, 4, 7);
      requests.tile();
      if (num_tiles == 2) {
        _tile_loadd(5, rows[1] + k, row_bytes);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      } else {
        _tile_loadd(6, keys + 32, kBlockBytes);
        _tile_dpbf16ps(2, 4, 6);
        requests.tile();
        _tile_loadd(7, keys + 48, kBlockBytes);
        _tile_dpbf16ps(3, 4, 7);
        requests.tile();
      }
    }
    float* low = scores + key;
    float* high = num_tiles == 2 ? low + kTileScores : low + 32;
    _tile_stored(0, low, kScoreBytes);
    _tile_stored(1, low + 16, kScoreBytes);
    _tile_stored(2, high, kScoreBytes);
    _tile_stored(3, high + 16, kScoreBytes);
  }
}

// Turns the scores of keys [begin, end), whole blocks, of up to 16 rows into weights in bf16 at the beginning of their
// rows. max: of the rows' exponents to the base 2. keep receives the factors of the rows' earlier sums. requests.row() is
// called after each row.
template <typename Requests>
void weigh_tile(int64_t num_rows, int64_t begin, int64_t end, float scale, float* scores, float* max, float* sum,
                float* keep, Requests requests) {
  __m512 gathered[kTileRows];
  for (int64_t r = 0; r < kTileRows; ++r) {
    if (r >= num_rows) {
      gathered[r] = gathered[0];
      continue;
    }
    const float* row = scores + r * kKeysPerChunk;
    gathered[r] = _mm512_load_ps(row + begin);
    for (int64_t j = begin + 16; j < end; j += 16) gathered[r] = _mm512_max_ps(gathered[r], _mm512_load_ps(row + j));
  }
  const __m512 factor = _mm512_set1_ps(scale), lowest = _mm512_set1_ps(std::numeric_limits<float>::lowest());
  const __m512 before = Lanes512::load_part(max, num_rows);
  const __m512 found = _mm512_mul_ps(Lanes512::fold_each(gathered, Lanes512::maximum), factor);
  const __m512 now = _mm512_max_ps(found, before);
  // Scores that are all -infinity get weights of 0, not powers of -infinity - -infinity.
  const __m512 shift = _mm512_max_ps(lowest, now), kept = power_of_two(_mm512_sub_ps(before, shift));
  alignas(64) float shifts[kTileRows];
  _mm512_store_ps(shifts, shift);
  Lanes512::store_part(max, num_rows, now);
  Lanes512::store_part(keep, num_rows, kept);
  const auto ones = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f80));
  for (int64_t r = 0; r < num_rows; ++r) {
    float* row = scores + r * kKeysPerChunk;
    const __m512 largest = _mm512_set1_ps(shifts[r]);
    __m512 weight_sums = _mm512_setzero_ps();
    for (int64_t j = begin; j < end; j += 32) {
      const __m512 low = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(row + j), factor, largest));
      const __m512 high = power_of_two(_mm512_fmsub_ps(_mm512_load_ps(row + j + 16), factor, largest));
      const __m512bh weights = _mm512_cvtne2ps_pbh(high, low);
      _mm512_store_si512(reinterpret_cast<uint16_t*>(row) + j, reinterpret_cast<__m512i>(weights));
      weight_sums = _mm512_dpbf16_ps(weight_sums, weights, ones);
    }
    gathered[r] = weight_sums;
    requests.row();
  }
  const __m512 total = _mm512_mul_ps(Lanes512::load_part(sum, num_rows), kept);
  Lanes512::store_part(sum, num_rows, _mm512_add_ps(total, Lanes512::fold_each(gathered, Lanes512::add)));
}

// sums[i] = weights times columns [column, column + 16 per tile) of a chunk's values: for one tile of rows i is the tile of
// columns, up to four; for two tiles of rows it is 2 * the tile of rows + the tile of columns.
template <typename Requests>
void multiply_values(const Chunk& chunk, int64_t num_tiles, const float* weights, int64_t column, int64_t column_tiles,
                     float (&sums)[4][kTileRows * 16], Requests requests) {
  zero_sums();
  for (int64_t block = chunk.begin; block < chunk.end; ++block) {
    for (int64_t k = 0; k < kKeysPerBlock / kTileDepth; ++k) {
      const int64_t stride = chunk.blocks[block].value_stride * sizeof(uint32_t);
      const uint32_t* values =
          chunk.blocks[block].values + k * kTileDepth / 2 * chunk.blocks[block].value_stride + column;
      const auto* row = reinterpret_cast<const uint16_t*>(weights) + block * kKeysPerBlock + k * kTileDepth;
      _tile_loadd(4, row, kScoreBytes);
      _tile_loadd(6, values, stride);
      _tile_dpbf16ps(0, 4, 6);
      requests.tile();
      if (column_tiles > 1) {
        _tile_loadd(7, values + 16, stride);
        _tile_dpbf16ps(1, 4, 7);
        requests.tile();
      }
      if (num_tiles > 1) {
        _tile_loadd(5, row + 2 * kTileScores, kScoreBytes);
        _tile_dpbf16ps(2, 5, 6);
        if (column_tiles > 1) _tile_dpbf16ps(3, 5, 7);
      } else {
        if (column_tiles > 2) {
          _tile_loadd(6, values + 32, stride);
          _tile_dpbf16ps(2, 4, 6);
          requests.tile();
        }
        if (column_tiles > 3) {
          _tile_loadd(7, values + 48, stride);
          _tile_dpbf16ps(3, 4, 7);
          requests.tile();
        }
      }
    }
  }
  _tile_stored(0, sums[0], kLineBytes);
  _tile_stored(1, sums[1], kLineBytes);
  _tile_stored(2, sums[2], kLineBytes);
  _tile_stored(3, sums[3], kLineBytes);
}

}  // namespace

}  // namespace winnow
