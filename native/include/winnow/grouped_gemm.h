// Expert-grouped GEMM: every expert multiplies the rows routed to it by its own matrix.
// java: org.winnow.op.GroupedGemm.
//
//   gate[r, n]   = bias_e[n] + sum_k input[source_rows[r], k] * weight_e[n, k]
//   up[r, n]     = up_bias_e[n] + sum_k input[source_rows[r], k] * up_weight_e[n, k]
//   output[r, n] = activation(gate[r, n])             without up_weights
//                = activation(gate[r, n], up[r, n])   with them; activation.h has the formulas
//                  for r in [expert_offsets[e], expert_offsets[e + 1])
//
//   next            another product of the same call; null: none. No product of a call may read what another
//                   one writes. A call has at most WINNOW_GROUPED_GEMM_MAX_PRODUCTS products
//   input           [num_tokens, input_size] input_type
//   source_rows     [num_rows] i32   the input row that each row reads; null: row r reads input row r
//   weights         [planes, num_experts] u64   address of each plane of weight_e [output_size, input_size];
//                                               weight_format says what a plane is; 0 = not resident
//   up_weights      [planes, num_experts] u64   as weights, for up_weight_e; null: not gated
//   biases          [num_experts] u64   address of bias_e [output_size] f32, 0 = none; null: no expert has one
//   up_biases       [num_experts] u64   as biases, for up_bias_e
//   expert_offsets  [num_experts + 1] i32   first row of each expert, ascending, last <= num_rows; null: expert 0
//                                           has all num_rows rows
//   active_experts  [num_active] i32   the experts to compute, ascending; entries of -1 may follow. Rows of other
//                                      experts are not written; null: the first num_active experts
//   output          [num_rows, output_size] output_type   rounded once to nearest even; overlaps no input
//   num_tokens      rows of input
//   num_rows        rows of output
//   num_experts     experts of the layer
//   num_active      entries of active_experts
//   input_size      columns of input
//   output_size     columns of output
//   input_type      f32 or bf16
//   product_type    f32 or bf16: what the elements of the input are multiplied in. bf16 rounds each element of an f32
//                   input once, to nearest even; NaN stays NaN. The bits are then those of the same input stored as
//                   bf16, which is multiplied as it is with either value
//   weight_format   a format of weight_formats.inc
//   weight_layout   of weights and up_weights, see weight_layout.h. A device takes rows only
//   activation      the function of gate and up
//   output_type     f32 or bf16
//
// All row-major, last dimension contiguous.
//
// WINNOW_REFUSED with the first active expert that has rows but no weights. A device does not check this and fills the
// rows of such an expert with NaN. WINNOW_INVALID_ARGUMENT for other types, formats, layouts or activations than
// those named here. WINNOW_OUT_OF_RANGE for offsets, experts or source rows outside their range. Nothing has been written in these
// cases.
//
// Order    f32 accumulation, then the bias. Rows: lane by lane along k, then the lanes in a fixed tree. Panels: one sum
//          per output, k ascending. bf16 by bf16 on avx512_bf16: pairs as vdpbf16ps adds them; in panels on amx_bf16:
//          per 32 elements as tdpbf16ps adds them. The order depends only on instruction set, types, format and layout,
//          so the bits do not depend on the number of rows or threads.
//
// Subnormals  count. But vdpbf16ps and tdpbf16ps take subnormal elements for zero, and make subnormal sums zero: 0x0040
//          times 0x7180 is 0 there and 7.45e-9 elsewhere; infinity times 0x0001 is NaN there and infinity elsewhere.
//
// Memory   reads each weight of an active expert once per 128 rows (once per 32 to 124 from input_size 2,049 on), as
//          stored.
#pragma once

#include "winnow/base/activation.h"
#include "winnow/base/dtype.h"
#include "winnow/base/operation.h"
#include "winnow/base/weight_format.h"
#include "winnow/base/weight_layout.h"

#define WINNOW_GROUPED_GEMM_MAX_PRODUCTS 3

typedef struct winnow_grouped_gemm_arguments {
  const struct winnow_grouped_gemm_arguments* next;
  const void* input;
  const int32_t* source_rows;
  const uint64_t* weights;
  const uint64_t* up_weights;
  const uint64_t* biases;
  const uint64_t* up_biases;
  const int32_t* expert_offsets;
  const int32_t* active_experts;
  void* output;
  int64_t num_tokens;
  int64_t num_rows;
  int64_t num_experts;
  int64_t num_active;
  int64_t input_size;
  int64_t output_size;
  winnow_dtype input_type;
  winnow_weight_format weight_format;
  winnow_weight_layout weight_layout;
  winnow_activation activation;
  winnow_dtype output_type;
  winnow_dtype product_type;
} winnow_grouped_gemm_arguments;

WINNOW_C winnow_status winnow_grouped_gemm(const winnow_grouped_gemm_arguments* arguments, winnow_cpu* cpu,
                                           int64_t* detail);
