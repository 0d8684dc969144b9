// Adds up what the experts of each token computed. java: org.winnow.op.MoeCombine.
//
//   output[t, i] = sum_p routing_weights[p] * expert_output[assignment_rows[p], i] + gate[t] * shared[t, i]
//                  for p in [token_offsets[t], token_offsets[t + 1])
//   gate[t]      = sigmoid(shared_gate_logits[t])
//
//   expert_output       [num_rows, hidden_size] f32
//   token_offsets       [num_tokens + 1] i32
//   assignment_rows     [num_rows] i32   the row of expert_output that belongs to pair p
//   routing_weights     [num_rows] f32
//   shared              [num_tokens, hidden_size] f32   the shared experts' output; null: none
//   shared_gate_logits  [num_tokens] f32   null: gate[t] = 1
//   output              [num_tokens, hidden_size] output_type   overlaps no input
//   num_tokens          tokens
//   num_rows            token-expert pairs
//   hidden_size         elements of a row
//   output_type         f32 or bf16; WINNOW_INVALID_ARGUMENT for another
//
// f32 sums in slot order, each product rounded, the shared part last, one rounding to output_type: the same bits on
// every instruction set. A token without experts gets 0 (plus its shared part). WINNOW_OUT_OF_RANGE for offsets and
// rows outside num_rows.
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
