// Adds up what the experts of each token computed. java: org.winnow.moe.MoeCombine.
//
//   output[t, i] = sum_p routing_weights[p] * expert_output[assignment_rows[p], i]   for p in [token_offsets[t],
//   token_offsets[t + 1])
//                  + sigmoid(shared_gate_logits[t]) * shared[t, i]
//
//   expert_output       [num_rows, hidden_size] f32
//   token_offsets       [num_tokens + 1] i32
//   assignment_rows     [num_rows] i32           the row of expert_output that belongs to pair p
//   routing_weights     [num_rows] f32
//   shared              [num_tokens, hidden_size] f32 or null   the shared experts' output
//   shared_gate_logits  [num_tokens] f32 or null                null: shared counts in full
//   output              [num_tokens, hidden_size] output_type: f32 or bf16
//
// Overlaps no input. f32 sums in slot order, each product rounded, the shared part last, one rounding to output_type:
// the same bits on every instruction set. A token without experts gets 0 (plus its shared part). Throws
// std::out_of_range for offsets and rows outside num_rows.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"
#include "winnow/base/dtype.h"

namespace winnow {

void moe_combine_cpu(const float* expert_output, const int32_t* token_offsets, const int32_t* assignment_rows,
                     const float* routing_weights, const float* shared, const float* shared_gate_logits, void* output,
                     DType output_type, int64_t num_tokens, int64_t num_rows, int64_t hidden_size, Cpu* cpu);

}  // namespace winnow
