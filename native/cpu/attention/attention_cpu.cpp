// A unit is up to 128 rows of one kv head. Its rows are tokens and the query heads of a group, which read the same
// keys. Heads with few rows form units together: they read a page from its beginning to its end. If there are enough
// units for all threads, each unit processes its splits one after the other. Otherwise, as in decoding, splits are
// processed in parallel and merged in the same order, which gives the same bits. The calling thread keeps the scratch
// memory, so repeated calls of one size do not allocate.
#include <algorithm>
#include <atomic>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "attention/attention_split.h"
#include "base/cpu_context.h"
#include "base/entry.h"
#include "winnow/attention.h"

namespace winnow {

namespace {

const AttentionKernels& kernels_for(InstructionSet instruction_set, winnow_dtype element) {
  if (element != WINNOW_DTYPE_F32 && element != WINNOW_DTYPE_BF16 && element != WINNOW_DTYPE_F16)
    throw std::invalid_argument("element must be f32, bf16 or f16, found type " + std::to_string(element));
  switch (instruction_set) {
    case InstructionSet::portable:
      return kAttentionPortable;
    case InstructionSet::avx2:
      return kAttentionAvx2;
    case InstructionSet::avx512:
      return kAttentionAvx512;
    case InstructionSet::avx512_bf16:
      return element == WINNOW_DTYPE_BF16 ? kAttentionPairs : kAttentionAvx512;
    case InstructionSet::amx_bf16:
      return element == WINNOW_DTYPE_BF16 ? kAttentionTiles : kAttentionAvx512;
  }
  throw std::logic_error("attention has no kernels for this instruction set");
}

// A unit is some rows of some neighbouring kv heads: of one, unless a head has few rows.
struct Units {
  const AttentionCall& call;
  int64_t num_rows, rows_per_unit;  // of a kv head
  int64_t heads_per_unit;
  int64_t num_tiles = (num_rows + rows_per_unit - 1) / rows_per_unit;

  int64_t size() const { return num_tiles * ((call.num_kv_heads + heads_per_unit - 1) / heads_per_unit); }
  int64_t head_begin(int64_t unit) const { return unit / num_tiles * heads_per_unit; }
  int64_t heads(int64_t unit) const { return std::min(heads_per_unit, call.num_kv_heads - head_begin(unit)); }
  int64_t row_begin(int64_t unit) const { return (num_tiles - 1 - unit % num_tiles) * rows_per_unit; }  // longest first
  int64_t rows(int64_t unit) const { return std::min(rows_per_unit, num_rows - row_begin(unit)); }
  int64_t first_split(int64_t unit) const { return call.first_key(row_begin(unit)) / kKeysPerSplit; }
  int64_t last_split(int64_t unit) const { return call.position(row_begin(unit) + rows(unit) - 1) / kKeysPerSplit; }
  AttentionTask task(int64_t unit, int64_t split) const {
    return {head_begin(unit), heads(unit), row_begin(unit), rows(unit), split};
  }
};

// Heads that go together: as many as leave each thread several pieces of work.
int64_t heads_per_unit(const AttentionCall& call, int64_t num_rows, int64_t num_splits, int num_threads) {
  if (num_rows > kFewRows) return 1;
  int64_t heads = std::min(call.num_kv_heads, kMostRows / num_rows);
  const int64_t wanted = num_threads > 1 ? 4 * num_threads : 1;
  while (heads > 1 && (call.num_kv_heads + heads - 1) / heads * num_splits < wanted) heads = (heads + 1) / 2;
  return heads;
}

constexpr int64_t kLine = 16;  // floats of a line of cache, at which a state or scratch memory begins

float* line_of(float* memory) {
  return memory + (kLine - reinterpret_cast<uintptr_t>(memory) / sizeof(float) % kLine) % kLine;
}

int64_t state_size(int64_t num_rows, int64_t value_width) {
  return (num_rows * (value_width + 2) + kLine - 1) / kLine * kLine;
}

// The state before the first key, which contains only the sink, if there is one.
void begin(const AttentionCall& call, int64_t kv_head, int64_t row_begin, int64_t num_rows, AttentionState total) {
  for (int64_t r = 0; r < num_rows; ++r) {
    int64_t head = call.flat(kv_head, row_begin + r) % call.num_heads;
    total.max[r] = call.sinks == nullptr ? -std::numeric_limits<float>::infinity() : call.sinks[head];
    total.sum[r] = call.sinks == nullptr ? 0.0f : 1.0f;
  }
  std::fill(total.values, total.values + num_rows * call.value_width, 0.0f);
}

// Calls body(item, scratch) for all items. Each item runs on one thread, with scratch_size floats of its own.
template <typename Body>
void for_each(Cpu& cpu, int64_t num_items, float* scratch, int64_t scratch_size, const Body& body) {
  std::atomic<int64_t> next{0};  // relaxed: claims items, carries no data
  cpu.parallel_for(std::min<int64_t>(cpu.num_threads, num_items), 1, [&](int64_t slot_begin, int64_t slot_end) {
    for (int64_t slot = slot_begin; slot < slot_end; ++slot) {
      for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < num_items;)
        body(item, scratch + slot * scratch_size);
    }
  });
}

}  // namespace

void attention_cpu(const winnow_attention_arguments& arguments, Cpu& cpu) {
  if (arguments.num_tokens == 0 || arguments.num_heads == 0) return;
  AttentionCall call(arguments);
  const AttentionKernels& kernels = kernels_for(cpu.instruction_set, call.element);
  const int64_t num_rows = call.num_tokens * call.group_size;
  const int64_t first_split = call.first_key(0) / kKeysPerSplit;
  const int64_t num_splits = call.position(num_rows - 1) / kKeysPerSplit + 1 - first_split;
  const Units units{call, num_rows, kernels.rows_per_unit, heads_per_unit(call, num_rows, num_splits, cpu.num_threads)};
  const int64_t most_rows = std::min(kernels.rows_per_unit, num_rows), most_heads = units.heads_per_unit;
  const int64_t state = state_size(most_rows, call.value_width), states = most_heads * state;
  const int64_t slot = 2 * states + AttentionScratch::size(call, most_heads, most_rows);
  call.cut = num_splits > 1 && cpu.num_threads > 1 && units.size() < 4 * cpu.num_threads;
  thread_local std::vector<float> memory;
  const size_t needed = kLine + cpu.num_threads * slot + (call.cut ? units.size() * num_splits * states : 0);
  if (memory.size() < needed) memory.resize(needed);
  float* scratch = line_of(memory.data());
  float* parts = scratch + cpu.num_threads * slot;
  auto states_at = [&](float* at) { return AttentionStates{at, most_rows, state}; };
  auto parts_of = [&](int64_t unit, int64_t split) {
    return states_at(parts + (unit * num_splits + split - first_split) * states);
  };
  auto scratch_of = [&](float* mine) { return AttentionScratch::at(mine + 2 * states, call, most_heads, most_rows); };

  if (!call.cut) {
    for_each(cpu, units.size(), scratch, slot, [&](int64_t unit, float* mine) {
      const AttentionStates totals = states_at(mine), part = states_at(mine + states);
      const int64_t head_begin = units.head_begin(unit), heads = units.heads(unit);
      const int64_t row_begin = units.row_begin(unit), rows = units.rows(unit);
      for (int64_t head = 0; head < heads; ++head) begin(call, head_begin + head, row_begin, rows, totals.of(head));
      AttentionScratch own = scratch_of(mine);
      for (int64_t split = units.first_split(unit); split <= units.last_split(unit); ++split) {
        kernels.attend(call, units.task(unit, split), part, own);
        own.has_queries = true;
        for (int64_t head = 0; head < heads; ++head)
          kernels.merge(totals.of(head), part.of(head), rows, call.value_width);
      }
      for (int64_t head = 0; head < heads; ++head)
        kernels.finish(call, head_begin + head, row_begin, rows, totals.of(head));
    });
    return;
  }
  for_each(cpu, units.size() * num_splits, scratch, slot, [&](int64_t item, float* mine) {
    const int64_t unit = item / num_splits, split = first_split + item % num_splits;
    if (split < units.first_split(unit) || split > units.last_split(unit)) return;
    kernels.attend(call, units.task(unit, split), parts_of(unit, split), scratch_of(mine));
  });
  for_each(cpu, units.size() * most_heads, scratch, slot, [&](int64_t item, float* mine) {
    const int64_t unit = item / most_heads, head = item % most_heads, kv_head = units.head_begin(unit) + head;
    if (head >= units.heads(unit)) return;
    const AttentionState total = states_at(mine).of(0);
    const int64_t row_begin = units.row_begin(unit), rows = units.rows(unit);
    begin(call, kv_head, row_begin, rows, total);
    for (int64_t split = units.first_split(unit); split <= units.last_split(unit); ++split)
      kernels.merge(total, parts_of(unit, split).of(head), rows, call.value_width);
    kernels.finish(call, kv_head, row_begin, rows, total);
  });
}

}  // namespace winnow

WINNOW_OPERATION(attention)
