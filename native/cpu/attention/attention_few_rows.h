// Products of one or two rows with FMAs, in the order of tdpbf16ps: a tile of 16 rows takes as long for one.
#pragma once

#include <cstring>

#include "attention_amx_tiles.h"

namespace winnow {

namespace {

constexpr int64_t kMostFmaRows = 2;

// Adds what tdpbf16ps adds for 32 elements along k: pairs of each row, and units of VECTORS times 16 outputs, those of
// neighbouring pairs `stride` apart. sums: row after row.
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void add_products(const char* const (&rows)[ROWS], const uint32_t* units,
                                                        int64_t stride, __m512 (&sums)[ROWS * VECTORS]) {
  const __m512i high_half = _mm512_set1_epi32(static_cast<int>(0xffff0000));
  const auto even = [](__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); };
  const auto odd = [high_half](__m512i pairs) { return _mm512_castsi512_ps(_mm512_and_si512(pairs, high_half)); };
  __m512 evens[ROWS * VECTORS], odds[ROWS * VECTORS];
#pragma GCC unroll 8
  for (int i = 0; i < ROWS * VECTORS; ++i) evens[i] = odds[i] = _mm512_setzero_ps();
#pragma GCC unroll 2
  for (int64_t pair = 0; pair < kTileDepth / 2; ++pair, units += stride) {
    __m512 even_inputs[ROWS], odd_inputs[ROWS];
#pragma GCC unroll 2
    for (int r = 0; r < ROWS; ++r) {
      int32_t bits;
      std::memcpy(&bits, rows[r] + pair * int64_t{sizeof(bits)}, sizeof(bits));
      const __m512i input = _mm512_set1_epi32(bits);
      even_inputs[r] = even(input);
      odd_inputs[r] = odd(input);
    }
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
      const __m512i found = _mm512_loadu_si512(units + v * 16);
#pragma GCC unroll 2
      for (int r = 0; r < ROWS; ++r) {
        const int i = r * VECTORS + v;
        evens[i] = _mm512_fmadd_ps(even_inputs[r], even(found), evens[i]);
        odds[i] = _mm512_fmadd_ps(odd_inputs[r], odd(found), odds[i]);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < ROWS * VECTORS; ++i) sums[i] = _mm512_add_ps(sums[i], _mm512_add_ps(evens[i], odds[i]));
}

template <int ROWS, typename Requests>
void multiply_keys_of_rows(const Chunk& chunk, const char* queries, int64_t key_width, float* scores,
                           Requests requests) {
  const int64_t row_bytes = key_width * static_cast<int64_t>(sizeof(uint16_t));
  for (int64_t block = chunk.begin; block < chunk.end; ++block) {
    const uint32_t* keys = chunk.blocks[block].keys;
    __m512 sums[ROWS * 4];
    for (__m512& sum : sums) sum = _mm512_setzero_ps();
    for (int64_t k = 0; k < row_bytes; k += kLineBytes, keys += kTileDepth / 2 * kKeysPerBlock) {
      const char* rows[ROWS];
      for (int r = 0; r < ROWS; ++r) rows[r] = queries + r * row_bytes + k;
      add_products<ROWS, 4>(rows, keys, kKeysPerBlock, sums);
      for (int i = 0; i < 4; ++i) requests.tile();
    }
    for (int i = 0; i < ROWS * 4; ++i)
      _mm512_store_ps(scores + i / 4 * kKeysPerChunk + block * kKeysPerBlock + i % 4 * 16, sums[i]);
  }
}

// As multiply_keys of one tile of rows, of which there are one or two.
template <typename Requests>
void multiply_keys_of_rows(const Chunk& chunk, int64_t num_rows, const char* queries, int64_t key_width, float* scores,
                           Requests requests) {
  const FlushSubnormals flush;
  num_rows == 1 ? multiply_keys_of_rows<1>(chunk, queries, key_width, scores, requests)
                : multiply_keys_of_rows<2>(chunk, queries, key_width, scores, requests);
}

template <int ROWS, int VECTORS, typename Requests>
void multiply_values_of_rows(const Chunk& chunk, const float* weights, int64_t column, float (*sums)[kTileRows * 16],
                             Requests requests) {
  __m512 found[ROWS * VECTORS];
  for (__m512& sum : found) sum = _mm512_setzero_ps();
  for (int64_t block = chunk.begin; block < chunk.end; ++block) {
    const int64_t stride = chunk.blocks[block].value_stride;
    const uint32_t* values = chunk.blocks[block].values + column;
    for (int64_t k = 0; k < kKeysPerBlock; k += kTileDepth, values += kTileDepth / 2 * stride) {
      const char* rows[ROWS];
      for (int r = 0; r < ROWS; ++r)
        rows[r] = reinterpret_cast<const char*>(weights + r * kKeysPerChunk) +
                  (block * kKeysPerBlock + k) * int64_t{sizeof(uint16_t)};
      add_products<ROWS, VECTORS>(rows, values, stride, found);
      for (int i = 0; i < VECTORS; ++i) requests.tile();
    }
  }
  for (int i = 0; i < ROWS * VECTORS; ++i) _mm512_store_ps(sums[i % VECTORS] + i / VECTORS * 16, found[i]);
}

template <int ROWS, typename Requests>
void multiply_values_of_rows(const Chunk& chunk, const float* weights, int64_t column, int64_t column_tiles,
                             float (*sums)[kTileRows * 16], Requests requests) {
  if (column_tiles == 4) return multiply_values_of_rows<ROWS, 4>(chunk, weights, column, sums, requests);
  if (column_tiles >= 2) multiply_values_of_rows<ROWS, 2>(chunk, weights, column, sums, requests);
  if (column_tiles % 2 == 1) {
    const int64_t last = column_tiles - 1;
    multiply_values_of_rows<ROWS, 1>(chunk, weights, column + last * 16, sums + last, requests);
  }
}

// As multiply_values of one tile of rows, of which there are one or two.
template <typename Requests>
void multiply_values_of_rows(const Chunk& chunk, int64_t num_rows, const float* weights, int64_t column,
                             int64_t column_tiles, float (&sums)[4][kTileRows * 16], Requests requests) {
  const FlushSubnormals flush;
  num_rows == 1 ? multiply_values_of_rows<1>(chunk, weights, column, column_tiles, sums, requests)
                : multiply_values_of_rows<2>(chunk, weights, column, column_tiles, sums, requests);
}

}  // namespace

}  // namespace winnow
