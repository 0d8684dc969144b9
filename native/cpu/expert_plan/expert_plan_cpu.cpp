// Three passes: count, prefix sum, place. Sequential: 4096 pairs take about 10 microseconds, so waking a team for each
// pass would cost more than it saves.
#include <algorithm>
#include <cstring>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "winnow/expert_plan.h"

namespace winnow {

Outcome expert_plan_cpu(const winnow_expert_plan_arguments& arguments, Cpu&) {
  const int32_t* token_offsets = arguments.token_offsets;
  const int32_t* expert_ids = arguments.expert_ids;
  int32_t* expert_offsets = arguments.expert_offsets;
  int32_t* active_experts = arguments.active_experts;
  const int64_t num_tokens = arguments.num_tokens, num_rows = arguments.num_rows, num_experts = arguments.num_experts;
  std::memset(expert_offsets, 0, (num_experts + 1) * sizeof(int32_t));
  bool ascending = token_offsets[0] == 0 && token_offsets[num_tokens] == num_rows;
  for (int64_t t = 0; t < num_tokens; ++t) ascending &= token_offsets[t] <= token_offsets[t + 1];
  if (!ascending) return {WINNOW_REFUSED, num_rows};
  for (int64_t p = 0; p < num_rows; ++p) {
    if (expert_ids[p] < 0 || expert_ids[p] >= num_experts) return {WINNOW_REFUSED, p};
    ++expert_offsets[expert_ids[p]];
  }
  int64_t num_active = 0;
  int32_t begin = 0;
  for (int64_t e = 0; e <= num_experts; ++e) {
    int32_t rows = expert_offsets[e];
    if (rows > 0) active_experts[num_active++] = static_cast<int32_t>(e);
    expert_offsets[e] = begin;
    begin += rows;
  }
  std::fill(active_experts + num_active, active_experts + num_experts, -1);
  for (int64_t t = 0; t < num_tokens; ++t) {
    for (int32_t p = token_offsets[t]; p < token_offsets[t + 1]; ++p) {
      int32_t row = expert_offsets[expert_ids[p]]++;
      arguments.source_rows[row] = static_cast<int32_t>(t);
      arguments.assignment_rows[p] = row;
    }
  }
  // Placing has moved each expert's begin to its end, which is the next expert's begin.
  std::memmove(expert_offsets + 1, expert_offsets, num_experts * sizeof(int32_t));
  expert_offsets[0] = 0;
  return {WINNOW_DONE, num_active};
}

}  // namespace winnow

WINNOW_OPERATION(expert_plan)
