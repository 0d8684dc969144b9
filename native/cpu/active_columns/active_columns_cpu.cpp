// Blocks of all tokens are shared among the threads. A block's z become keys whose order as integers is the order of
// choice, so that one comparison decides ties too. Inputs are read once: another thread may write to them.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/exponential.h"
#include "winnow/active_columns.h"

namespace winnow {

namespace {

constexpr int64_t kGrain = 1 << 13;  // columns

// Larger for the better choice: the value in the upper half, with the order of f32, and the column in the lower one.
uint64_t key_of(float z, int64_t column) {
  uint32_t bits;
  const float value = z + 0.0f;  // -0 becomes +0
  std::memcpy(&bits, &value, sizeof bits);
  bits = bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
  return uint64_t{bits} << 32 | ~static_cast<uint32_t>(column);
}

struct Selection {
  const winnow_active_columns_arguments& op;
  std::atomic<int64_t> refused;

  explicit Selection(const winnow_active_columns_arguments& arguments) : op(arguments), refused(arguments.num_tokens) {}

  void refuse(int64_t token) {
    int64_t first = refused.load(std::memory_order_relaxed);
    while (token < first && !refused.compare_exchange_weak(first, token, std::memory_order_relaxed)) {
    }
  }

  // z of columns [begin, begin + size) of a token. False if one is NaN.
  bool read(int64_t token, int64_t begin, int64_t size, float* z) const {
    const float* logits = op.logits + token * op.num_columns + begin;
    bool valid = true;
    for (int64_t i = 0; i < size; ++i) {
      z[i] = op.bias == nullptr ? logits[i] : logits[i] + op.bias[begin + i];
      valid &= z[i] == z[i];
    }
    return valid;
  }

  // The columns of a block in ascending order, from `to` on.
  void choose(int64_t token, int64_t block) {
    thread_local std::vector<float> z;
    thread_local std::vector<uint64_t> keys, ranked;
    const int64_t size = op.block_size, first = block * size;
    z.resize(size);
    if (!read(token, first, size, z.data())) return refuse(token);
    keys.resize(size);
    for (int64_t i = 0; i < size; ++i) keys[i] = key_of(z[i], i);
    uint64_t least = 0;
    if (op.top_k == 1) {
      for (int64_t i = 0; i < size; ++i) least = std::max(least, keys[i]);
    } else {
      ranked.assign(keys.begin(), keys.end());
      std::nth_element(ranked.begin(), ranked.begin() + (op.top_k - 1), ranked.end(), std::greater<uint64_t>());
      least = ranked[op.top_k - 1];
    }
    const int64_t to = token * op.capacity + block * op.top_k;
    int64_t count = 0;
    for (int64_t i = 0; i < size; ++i) {
      if (keys[i] >= least) op.active_columns[to + count++] = static_cast<int32_t>(first + i);
    }
    if (op.column_scales == nullptr) return;
    const Softmax softmax(z.data(), size);
    count = 0;
    for (int64_t i = 0; i < size; ++i) {
      if (keys[i] >= least) op.column_scales[to + count++] = softmax.of(z[i]);
    }
  }

  // All columns of a token that reach the threshold.
  void compare(int64_t token) {
    thread_local std::vector<float> z;
    z.resize(op.num_columns);
    op.column_counts[token] = 0;
    if (!read(token, 0, op.num_columns, z.data())) return refuse(token);
    const int64_t to = token * op.capacity;
    int64_t count = 0;
    for (int64_t i = 0; i < op.num_columns; ++i) {
      if (z[i] >= op.threshold) op.active_columns[to + count++] = static_cast<int32_t>(i);
    }
    op.column_counts[token] = static_cast<int32_t>(count);
    if (op.column_scales == nullptr) return;
    const Softmax softmax(z.data(), op.num_columns);
    count = 0;
    for (int64_t i = 0; i < op.num_columns; ++i) {
      if (z[i] >= op.threshold) op.column_scales[to + count++] = softmax.of(z[i]);
    }
  }

 private:
  struct Softmax {
    double largest, sum = 0;

    Softmax(const float* z, int64_t size) : largest(*std::max_element(z, z + size)) {
      for (int64_t i = 0; i < size; ++i) sum += exponential(z[i] - largest);
    }
    float of(float z) const { return static_cast<float>(exponential(z - largest) / sum); }
  };
};

}  // namespace

Outcome active_columns_cpu(const winnow_active_columns_arguments& arguments, Cpu& cpu) {
  const auto& op = arguments;
  Selection selection(op);
  if (op.rule == WINNOW_COLUMN_RULE_TOP_K) {
    const int64_t blocks = op.num_columns / op.block_size;
    cpu.parallel_for(op.num_tokens * blocks, 1 + kGrain / op.block_size, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) selection.choose(i / blocks, i % blocks);
    });
    std::fill_n(op.column_counts, op.num_tokens, static_cast<int32_t>(blocks * op.top_k));
  } else if (op.rule == WINNOW_COLUMN_RULE_THRESHOLD) {
    cpu.parallel_for(op.num_tokens, 1 + kGrain / op.num_columns, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) selection.compare(t);
    });
  } else {
    throw std::invalid_argument("rule must be top_k or threshold, found " + std::to_string(op.rule));
  }
  const int64_t refused = selection.refused.load(std::memory_order_relaxed);
  if (refused < op.num_tokens) return {WINNOW_REFUSED, refused};
  return {};
}

}  // namespace winnow

WINNOW_OPERATION(active_columns)
