// Rows of a table, widened to f32. java: org.winnow.layer.Embedding.
//
//   output[t, i] = table[token_ids[t], i]
//
//   table      [vocabulary_size, hidden_size]  table_type: f32, bf16 or f16
//   token_ids  [num_tokens] i32
//   output     [num_tokens, hidden_size] f32; overlaps no input
//
// Returns -1, or the first t whose token id lies outside [0, vocabulary_size): nothing has been written then.
// Throws std::invalid_argument for another table_type.
#pragma once

#include <cstdint>

#include "winnow/base/cpu.h"
#include "winnow/base/dtype.h"

namespace winnow {

int64_t embedding_cpu(const void* table, DType table_type, const int32_t* token_ids, float* output, int64_t num_tokens,
                      int64_t vocabulary_size, int64_t hidden_size, Cpu* cpu);

}  // namespace winnow
