// Feed-forward block that computes only the active columns of each token. java: org.winnow.op.SparseFfn.
//
//   gate[t, i]   = gate_bias[i] + sum_k input[t, k] * w1[i, k]
//   up[t, i]     = sum_k input[t, k] * w3[i, k]   (gated only)
//   h[t, i]      = column_scales[t, i] * activation(gate[t, i])  or  column_scales[t, i] * activation(gate[t, i], up[t, i])
//   output[t, j] = output_bias[j] + sum_i (h[t, i] - mean_activation[i]) * w2[i, j]
//                  for i in the first column_counts[t] of active_columns[t], ascending
//
// Neurons are records of 2 or 3 rows: w1[i], w3[i] if gated, w2[i], hidden_size elements each, one behind the other.
// Blocks hold block_columns records each, one behind the other. What no token computes is not read.
//
// Without lists every column counts, and the gate decides (exact for activations with zeros): where
// |activation(gate)| <= threshold, h is 0, and w3 and w2 of the column are not read for that token.
//
//   input            [num_tokens, hidden_size] input_type
//   blocks           [(intermediate_size + block_columns - 1) / block_columns] u64   addresses of the blocks of records,
//                    weight_format; 0: not resident
//   gate_bias        [intermediate_size] f32   null: 0
//   output_bias      [hidden_size] f32   null: 0
//   mean_activation  [intermediate_size] f32   null: 0; the caller adds sum_i mean_activation[i] * w2[i] to output_bias,
//                    so that columns that are left out count with their mean
//   column_counts    [num_tokens] i32   null: no lists
//   active_columns   [num_tokens, capacity] i32   ascending per token
//   column_scales    [num_tokens, capacity] f32   null: 1
//   hidden_values    [num_tokens, capacity] f32   out: h in the order of the lists
//   output           [num_tokens, hidden_size] f32   overlaps no input
//   num_tokens         tokens
//   hidden_size        elements of a row
//   intermediate_size  columns
//   block_columns      records of a block
//   capacity           columns of a list; without lists intermediate_size
//   input_type         f32 or bf16
//   weight_format      f32, bf16 or f16
//   activation         a winnow_activation, not clamped_swiglu
//   gated              1: records of 3 rows
//   threshold          without lists, see above; negative: no column is skipped
//
// Sums over k are f32 in one order per instruction set; sums over i are f32 in ascending order of i with fused products
// where the instruction set has them. A token's bits depend neither on the other tokens nor on the number of threads.
//
// WINNOW_REFUSED with the first token whose list is too long, does not ascend, or leaves [0, intermediate_size); with
// num_tokens + i for the first column i that is active and not resident. Nothing is written then.
// WINNOW_INVALID_ARGUMENT for types, formats and activations that are not named here.
//
// Sources: Jaszczur et al. 2021, arXiv:2111.12763, section 3.1; Liu et al. 2023, arXiv:2310.17157; Song et al. 2023,
// arXiv:2312.12456.
#pragma once

#include "winnow/base/activation.h"
#include "winnow/base/dtype.h"
#include "winnow/base/operation.h"
#include "winnow/base/weight_format.h"

typedef struct winnow_sparse_ffn_arguments {
  const void* input;
  const uint64_t* blocks;
  const float* gate_bias;
  const float* output_bias;
  const float* mean_activation;
  const int32_t* column_counts;
  const int32_t* active_columns;
  const float* column_scales;
  float* hidden_values;
  float* output;
  int64_t num_tokens;
  int64_t hidden_size;
  int64_t intermediate_size;
  int64_t block_columns;
  int64_t capacity;
  winnow_dtype input_type;
  winnow_weight_format weight_format;
  winnow_activation activation;
  int32_t gated;
  float threshold;
} winnow_sparse_ffn_arguments;

WINNOW_C winnow_status winnow_sparse_ffn(const winnow_sparse_ffn_arguments* arguments, winnow_cpu* cpu,
                                         int64_t* detail);
