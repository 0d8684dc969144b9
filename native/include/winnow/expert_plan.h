// Sorts token-expert pairs by expert, stably: a counting sort. No activation is moved. java: org.winnow.moe.ExpertPlan.
//
//   token_offsets    [num_tokens + 1] i32   exclusive prefix sum of choices per token, last == num_rows
//   expert_ids       [num_rows] i32         choices by token
//   expert_offsets   [num_experts + 1] i32  out: exclusive prefix sum of rows per expert
//   source_rows      [num_rows] i32         out: the token that a row sorted by expert reads
//   assignment_rows  [num_rows] i32         out: the sorted row of a pair in token order
//   active_experts   [num_experts] i32      out: the experts that have rows, ascending, then -1
//
// Returns the number of active experts; or -1 - p for the first pair p whose expert lies outside [0, num_experts), or
// -1 - num_rows if token_offsets do not ascend from 0 to num_rows. Only expert_offsets is written then.
#pragma once

#include <cstdint>

namespace winnow {

int64_t expert_plan_cpu(const int32_t* token_offsets, const int32_t* expert_ids, int32_t* expert_offsets,
                        int32_t* source_rows, int32_t* assignment_rows, int32_t* active_experts, int64_t num_tokens,
                        int64_t num_rows, int64_t num_experts);

}  // namespace winnow
