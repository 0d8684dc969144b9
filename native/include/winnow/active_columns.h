// Chooses the FFN columns that each token computes, from a controller's logits. java: org.winnow.op.ActiveColumns.
//
//   z[i]       = logits[t, i] + bias[i]
//   top_k      the top_k largest z of each block of block_size consecutive columns
//   threshold  the columns with z >= threshold
//
// A token's columns ascend. Of equal z the smaller column is chosen first; -0 equals +0.
//
//   logits          [num_tokens, num_columns] f32
//   bias            [num_columns] f32   null: 0
//   column_counts   [num_tokens] i32   out: columns of each token
//   active_columns  [num_tokens, capacity] i32   out: the first column_counts[t] of row t are its columns
//   column_scales   [num_tokens, capacity] f32   out: the softmax of z over the column's block; null: not wanted
//   num_tokens      tokens
//   num_columns     columns of the FFN, a multiple of block_size
//   block_size      columns of a block; num_columns: one block, as it must be for the rule threshold
//   top_k           columns of each block, at most block_size
//   capacity        columns of a row, at least as many as can be chosen
//   rule            a winnow_column_rule
//   threshold       of the rule threshold
//
// WINNOW_REFUSED with the first token whose z hold a NaN; the outputs are undefined then. WINNOW_INVALID_ARGUMENT for a
// rule not named here.
//
// Sources: Jaszczur et al. 2021, arXiv:2111.12763, section 3.1 (one column of each block; top_k is its generalisation,
// the softmax the option of its reference code); Liu et al. 2023, arXiv:2310.17157, section 4 (both rules with
// one block). Exponentials and their sum are computed in f64, on the CPU in ascending order: every instruction set, batch
// and thread count gives the same bits. A device adds in an order of its own, and its scales may differ in the last bit.
#pragma once

#include "winnow/base/operation.h"

typedef int32_t winnow_column_rule;
enum {
  WINNOW_COLUMN_RULE_TOP_K = 0,
  WINNOW_COLUMN_RULE_THRESHOLD = 1,
};

typedef struct winnow_active_columns_arguments {
  const float* logits;
  const float* bias;
  int32_t* column_counts;
  int32_t* active_columns;
  float* column_scales;
  int64_t num_tokens;
  int64_t num_columns;
  int64_t block_size;
  int64_t top_k;
  int64_t capacity;
  winnow_column_rule rule;
  float threshold;
} winnow_active_columns_arguments;

WINNOW_C winnow_status winnow_active_columns(const winnow_active_columns_arguments* arguments, winnow_cpu* cpu,
                                             int64_t* detail);
