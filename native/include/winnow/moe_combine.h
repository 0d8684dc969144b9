// Adds up the weighted outputs of each token's experts. java: org.winnow.op.MoeCombine.
//
//   output[t, i] = sum_p routing_weights[p] * expert_output[assignment_rows[p], i] + gate[t] * shared[t, i]
//                  for p in [token_offsets[t], token_offsets[t + 1])
//   gate[t]      = sigmoid(shared_gate_logits[t])
//
//   expert_output       [num_rows, hidden_size] f32
//   token_offsets       [num_tokens + 1] i32
//   assignment_rows     [num_rows] i32   the row of expert_output of pair p
//   routing_weights     [num_rows] f32
//   shared              [num_tokens, hidden_size] f32   the output of the shared experts; null: none
//   shared_gate_logits  [num_tokens] f32   null: gate[t] = 1
//   output              [num_tokens, hidden_size] output_type   overlaps no input
//   num_tokens          tokens
//   num_rows            token-expert pairs
//   hidden_size         elements of a row
//   output_type         f32 or bf16; WINNOW_INVALID_ARGUMENT for another
//
// Sums are f32, in ascending order of p, with each product rounded. The shared term comes last, then one rounding to
// output_type. So every instruction set gives the same bits. A token without experts gets 0 plus its shared term. A NaN
// among the terms gives a NaN; here it keeps its payload, of which bf16 has the upper bits. A device gives another NaN.
// WINNOW_OUT_OF_RANGE for offsets and rows outside num_rows.
#pragma once

#include "winnow/base/dtype.h"
#include "winnow/base/operation.h"

typedef struct winnow_moe_combine_arguments {
  const float* expert_output;
  const int32_t* token_offsets;
  const int32_t* assignment_rows;
  const float* routing_weights;
  const float* shared;
  const float* shared_gate_logits;
  void* output;
  int64_t num_tokens;
  int64_t num_rows;
  int64_t hidden_size;
  winnow_dtype output_type;
} winnow_moe_combine_arguments;

WINNOW_C winnow_status winnow_moe_combine(const winnow_moe_combine_arguments* arguments, winnow_cpu* cpu,
                                          int64_t* detail);
