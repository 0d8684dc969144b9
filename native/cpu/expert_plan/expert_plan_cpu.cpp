// Three passes: count, prefix sum, place. Sequential: 4096 pairs take about 10 microseconds, so waking a team for each
// pass would cost more than it saves. The first pass copies the ids, and rows are numbered in memory of the thread: a
// pair's row is one that was counted, whatever another thread writes to the tensors meanwhile.
#include <algorithm>
#include <vector>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/read_once.h"
#include "winnow/expert_plan.h"

namespace winnow {

namespace {

// Grows once per thread and size.
struct Scratch {
  std::vector<int32_t> expert_ids;  // [num_rows]
  std::vector<int32_t> next_rows;   // [num_experts] counts, then the next row of each expert
};

}  // namespace

Outcome expert_plan_cpu(const winnow_expert_plan_arguments& arguments, Cpu&) {
  const int32_t* token_offsets = arguments.token_offsets;
  const int64_t num_tokens = arguments.num_tokens, num_rows = arguments.num_rows, num_experts = arguments.num_experts;
  bool ascending = token_offsets[0] == 0 && token_offsets[num_tokens] == num_rows;
  for (int64_t t = 0; t < num_tokens; ++t) ascending &= token_offsets[t] <= token_offsets[t + 1];
  if (!ascending) return {WINNOW_REFUSED, num_rows};
  thread_local Scratch scratch;
  scratch.expert_ids.resize(num_rows);
  scratch.next_rows.assign(num_experts, 0);
  int32_t* ids = scratch.expert_ids.data();
  int32_t* next_rows = scratch.next_rows.data();
  for (int64_t p = 0; p < num_rows; ++p) {
    const int32_t e = read_once(arguments.expert_ids[p]);
    if (e < 0 || e >= num_experts) return {WINNOW_REFUSED, p};
    ids[p] = e;
    ++next_rows[e];
  }
  int64_t num_active = 0;
  int32_t begin = 0;
  for (int64_t e = 0; e < num_experts; ++e) {
    const int32_t rows = next_rows[e];
    if (rows > 0) arguments.active_experts[num_active++] = static_cast<int32_t>(e);
    arguments.expert_offsets[e] = next_rows[e] = begin;
    begin += rows;
  }
  arguments.expert_offsets[num_experts] = begin;
  std::fill(arguments.active_experts + num_active, arguments.active_experts + num_experts, -1);
  int64_t p = 0;
  for (int64_t t = 0; t < num_tokens; ++t) {
    const auto end = std::min<int64_t>(read_once(token_offsets[t + 1]), num_rows);
    for (; p < end; ++p) {
      const int32_t row = next_rows[ids[p]]++;
      arguments.source_rows[row] = static_cast<int32_t>(t);
      arguments.assignment_rows[p] = row;
    }
  }
  return {WINNOW_DONE, num_active};
}

}  // namespace winnow

WINNOW_OPERATION(expert_plan)
