// Looks up rows of a table and widens them to f32. java: org.winnow.op.Embedding.
//
//   output[t, i] = table[token_ids[t], i]
//
//   table            [vocabulary_size, hidden_size] table_type
//   token_ids        [num_tokens] i32
//   output           [num_tokens, hidden_size] f32   overlaps no input
//   num_tokens       number of rows to look up
//   vocabulary_size  rows of the table
//   hidden_size      columns of the table
//   table_type       f32, bf16 or f16; WINNOW_INVALID_ARGUMENT for another
//
// WINNOW_REFUSED with the first t whose token id lies outside [0, vocabulary_size): nothing has been written then.
#pragma once

#include "winnow/base/dtype.h"
#include "winnow/base/operation.h"

typedef struct winnow_embedding_arguments {
  const void* table;
  const int32_t* token_ids;
  float* output;
  int64_t num_tokens;
  int64_t vocabulary_size;
  int64_t hidden_size;
  winnow_dtype table_type;
} winnow_embedding_arguments;

WINNOW_C winnow_status winnow_embedding(const winnow_embedding_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
