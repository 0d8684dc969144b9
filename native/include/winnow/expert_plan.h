// Sorts token-expert pairs by expert with a stable counting sort of indices. java: org.winnow.op.ExpertPlan.
//
//   token_offsets    [num_tokens + 1] i32    exclusive prefix sum of choices per token, last == num_rows
//   expert_ids       [num_rows] i32          choices by token
//   expert_offsets   [num_experts + 1] i32   out: exclusive prefix sum of rows per expert
//   source_rows      [num_rows] i32          out: the token that a row sorted by expert reads
//   assignment_rows  [num_rows] i32          out: the sorted row of a pair in token order
//   active_experts   [num_experts] i32       out: the experts that have rows, ascending, followed by -1
//   num_tokens       tokens
//   num_rows         token-expert pairs
//   num_experts      experts of the layer
//   trusted          1: a router on the same device made the choices, so the host does not wait to check them; the
//                    CPU always checks them
//
// WINNOW_DONE with the number of active experts. WINNOW_REFUSED with the first pair whose expert lies outside
// [0, num_experts), or with num_rows if token_offsets do not ascend from 0 to num_rows: nothing is written
// then.
#pragma once

#include "winnow/base/operation.h"

typedef struct winnow_expert_plan_arguments {
  const int32_t* token_offsets;
  const int32_t* expert_ids;
  int32_t* expert_offsets;
  int32_t* source_rows;
  int32_t* assignment_rows;
  int32_t* active_experts;
  int64_t num_tokens;
  int64_t num_rows;
  int64_t num_experts;
  int32_t trusted;
} winnow_expert_plan_arguments;

WINNOW_C winnow_status winnow_expert_plan(const winnow_expert_plan_arguments* arguments, winnow_cpu* cpu,
                                          int64_t* detail);
