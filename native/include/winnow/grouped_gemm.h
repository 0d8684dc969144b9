// Expert-grouped GEMM: every expert multiplies the rows routed to it by its own matrix.
// java: org.winnow.moe.GroupedGemm.
//
//   gate[r, n]   = bias_e[n] + sum_k input[source_rows[r], k] * weight_e[n, k]
//   up[r, n]     = up_bias_e[n] + sum_k input[source_rows[r], k] * up_weight_e[n, k]
//   output[r, n] = activation(gate[r, n])             without up_weights
//                = activation(gate[r, n], up[r, n])   with them; activation.h has the formulas
//                  for r in [expert_offsets[e], expert_offsets[e + 1])
//
//   input           [num_tokens, input_size]   input_type: f32 or bf16
//   source_rows     [num_rows] i32             the input row that a row reads: no permuted copy is made
//                                              null: row r reads input row r
//   expert_weights  [num_experts] u64          address of weight_e [output_size, input_size], 0 = not resident
//   up_weights      [num_experts] u64          the same for up_weight_e; null: not gated
//   weight_type     f32, bf16 or f16           matrices are aligned as one element is
//   biases          [num_experts] u64          address of bias_e [output_size] f32, 0 = none; null: no expert has one
//   up_biases       [num_experts] u64          the same for up_bias_e
//   expert_offsets  [num_experts + 1] i32      first row of each expert, ascending, last <= num_rows
//                                              null: expert 0 has all num_rows rows
//   active_experts  [num_active] i32           the experts to compute, ascending, then perhaps -1; rows of others are
//                                              left alone
//                                              null: the first num_active
//   output          [num_rows, output_size]    output_type: f32 or bf16, rounded once to nearest even
//
// All row-major, last dimension contiguous; output overlaps no input. Returns -1 when done. If an active expert has
// rows and no weights: returns its number, and nothing was written.
//
// Throws std::invalid_argument for types or an activation not named here, std::out_of_range for offsets, experts or
// source rows outside their range; nothing was written then.
//
// Order    f32 accumulation (avx512_bf16: bf16 pairs as vdpbf16ps adds them), lane by lane along k, then the lanes in
//          a fixed tree, then the bias. One order per instruction set and pair of types: the same bits for one row and
//          for many, and whatever the number of threads.
//
// Memory   reads each weight of an active expert once per 128 rows (once per 32 to 124 from input_size 2,049 on), as
//          stored.
#pragma once

#include <cstdint>

#include "winnow/base/activation.h"
#include "winnow/base/cpu.h"
#include "winnow/base/dtype.h"

namespace winnow {

int64_t grouped_gemm_cpu(const void* input, DType input_type, const int32_t* source_rows,
                         const uint64_t* expert_weights, const uint64_t* up_weights, DType weight_type,
                         const uint64_t* biases, const uint64_t* up_biases, const int32_t* expert_offsets,
                         const int32_t* active_experts, Activation activation, void* output, DType output_type,
                         int64_t num_tokens, int64_t num_rows, int64_t num_experts, int64_t num_active,
                         int64_t input_size, int64_t output_size, Cpu* cpu);

}  // namespace winnow
