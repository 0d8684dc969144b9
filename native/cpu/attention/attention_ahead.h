// Requests for lines of the cache before the kernels with AMX read them.
#pragma once

#include "attention_amx_tiles.h"

namespace winnow {

namespace {

constexpr int64_t kTileBytes = kTileRows * kLineBytes;

// For many rows: requests the lines of keys and values of positions [position, end) of a head, block after block.
class LinesAhead {
 public:
  LinesAhead(const AttentionCall& call, int64_t kv_head, int64_t position, int64_t end)
      : call_(call), kv_head_(kv_head), position_(position), end_(call.tiled ? end : position) {}

  void step(int64_t lines) {
    for (; lines > 0; --lines, next_ += kLineBytes) {
      while (next_ == last_) {
        if (position_ >= end_) return;
        open();
      }
      _mm_prefetch(next_, _MM_HINT_T1);
    }
  }

 private:
  // The next block: the keys of a position, or its values.
  void open() {
    next_ = keys_ ? call_.key(kv_head_, position_) : call_.value(kv_head_, position_);
    last_ = next_ == nullptr ? next_ : next_ + (keys_ ? call_.key_width : call_.value_width) * kKeysPerBlock * 2;
    if (!keys_) position_ += kKeysPerBlock;
    keys_ = !keys_;
  }

  const AttentionCall& call_;
  const int64_t kv_head_;
  int64_t position_, end_;
  bool keys_ = true;
  const char* next_ = nullptr;
  const char* last_ = nullptr;
};

// For few rows, which are done with a tile of keys or values at once: requests as many bytes as a tile has, into L1, for
// each tile that is multiplied. So the same few tiles are always on their way. Measured: 2 to 8 of them are equally fast,
// and 16 are slower, as is L2 instead of L1.
class TilesAhead {
 public:
  // Of positions [position, end), in the order in which a task reads them.
  TilesAhead(const AttentionCall& call, const AttentionTask& task, int64_t position, int64_t end)
      : call_(call), task_(task), position_(position), end_(call.tiled ? end : position) {
    open();
    for (int i = 0; i < kTiles; ++i) step();
  }

  void step() {
    if (next_ == nullptr) return;
    for (int64_t line = 0; line < kTileBytes; line += kLineBytes) _mm_prefetch(next_ + line, _MM_HINT_T0);
    next_ += kTileBytes;
    if (--left_ == 0) open();
  }

 private:
  static constexpr int kTiles = 4;

  // The next block that lies in a page, or none: of each head, the keys of the blocks of a chunk, then their values.
  __attribute__((noinline)) void open() {
    for (next_ = nullptr; next_ == nullptr && position_ < end_; advance()) {
      const int64_t position = position_ + part_ % kChunkBlocks * kKeysPerBlock, head = task_.head_begin + head_;
      const bool keys = part_ < kChunkBlocks;
      if (position >= end_) continue;
      next_ = keys ? call_.key(head, position) : call_.value(head, position);
      left_ = (keys ? call_.key_width : call_.value_width) * kKeysPerBlock * 2 / kTileBytes;
    }
  }

  void advance() {
    if (++part_ < 2 * kChunkBlocks) return;
    part_ = 0;
    if (++head_ < task_.num_heads) return;
    head_ = 0;
    position_ += kKeysPerChunk;
  }

  const AttentionCall& call_;
  const AttentionTask& task_;
  int64_t position_, end_, part_ = 0, head_ = 0, left_ = 0;
  const char* next_ = nullptr;
};

// What kernels do after each tile of keys or values for one tile of rows, and after each row of weights.
struct TileRequests {
  TilesAhead& ahead;

  void tile() const { ahead.step(); }
  void row() const {}
};
struct LineRequests {
  LinesAhead& ahead;

  void tile() const {}
  void row() const { ahead.step(4); }
};

}  // namespace

}  // namespace winnow
