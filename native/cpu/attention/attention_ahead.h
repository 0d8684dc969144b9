// Requests for lines of the cache before the kernels with AMX read them.
#pragma once

#include "attention_amx_tiles.h"

namespace winnow {

namespace {

// Requests the lines of keys and values of positions [position, end) in the order in which they are read.
class Ahead {
 public:
  Ahead(const AttentionCall& call, const AttentionTask& task, int64_t position, int64_t end)
      : call_(call), task_(task), position_(position), end_(call.tiled ? end : position) {}

  // Allows so many lines more.
  void allow(int64_t lines) { due_ += lines; }

  void step(int64_t lines) {
    for (lines = std::min(lines, due_); lines > 0; --lines, --due_, next_ += kLineBytes) {
      while (next_ == last_) {
        if (position_ >= end_) return;
        open();
      }
      _mm_prefetch(next_, _MM_HINT_T1);
    }
  }

  static int64_t lines_of(const AttentionCall& call, int64_t num_keys) {
    return (call.key_width + call.value_width) * num_keys * 2 / kLineBytes;
  }

 private:
  // The next block: of each head, the keys of the blocks of a chunk, then their values.
  void open() {
    const int64_t position = position_ + part_ % kChunkBlocks * kKeysPerBlock;
    const int64_t kv_head = task_.head_begin + head_;
    const bool keys = part_ < kChunkBlocks;
    if (position < end_) {
      next_ = keys ? call_.key(kv_head, position) : call_.value(kv_head, position);
      last_ = next_ == nullptr ? next_ : next_ + (keys ? call_.key_width : call_.value_width) * kKeysPerBlock * 2;
    }
    if (++part_ < 2 * kChunkBlocks) return;
    part_ = 0;
    if (++head_ < task_.num_heads) return;
    head_ = 0, position_ += kKeysPerChunk;
  }

  const AttentionCall& call_;
  const AttentionTask& task_;
  int64_t position_, end_, due_ = 0, part_ = 0, head_ = 0;
  const char* next_ = nullptr;
  const char* last_ = nullptr;
};

// Where arithmetic is interrupted to request lines, few at a time, so that it goes on while they arrive.
template <bool FEW>
struct RequestPause {
  Ahead& ahead;

  void often() const {
    if constexpr (FEW) ahead.step(12);
  }
  void row() const {
    if constexpr (!FEW) ahead.step(4);
  }
};

}  // namespace

}  // namespace winnow
