// A linear layer whose matrix is a product of two small ones. java: org.winnow.op.MultiplicativeLayer.
//
//   output[t, s, m] = bias[s, m] + sum_i input[t, i] * module_weights[i, s] * column_weights[i, m]
//
//   input           [num_tokens, input_size] input_type
//   module_weights  [input_size, num_modules] weight_type   D of the paper
//   column_weights  [input_size, module_size] weight_type   E of the paper
//   bias            [num_modules, module_size] f32   null: 0
//   output          [num_tokens, num_modules, module_size] f32   overlaps no input, every element is written
//   num_tokens      tokens
//   input_size      elements of a token
//   num_modules     modules of an output row
//   module_size     elements of a module
//   input_type      f32 or bf16
//   weight_type     f32, bf16 or f16
//
// All row-major, last dimension contiguous. WINNOW_INVALID_ARGUMENT for other types; nothing has been written then.
//
// Source   Jaszczur et al. 2021, arXiv:2111.12763, section 3.2, with a bias. A row of the layer holds num_modules +
//          module_size weights instead of num_modules * module_size. With one module per part of a vocabulary it is
//          the sparse output layer of the same paper.
//
// Order    input times module weight is rounded to f32. Sums of 512 rows of weights (128
//          on a device) are accumulated in f32, i ascending, and added in order; then the bias. The bits depend on the
//          instruction set. They do not depend on the number of threads or tokens.
//
// Memory   a part's rows of weights are read once for up to 96 pairs of token and module, as stored. More threads than
//          there are parts share the reads of column weights.
#pragma once

#include "winnow/base/dtype.h"
#include "winnow/base/operation.h"

typedef struct winnow_multiplicative_layer_arguments {
  const void* input;
  const void* module_weights;
  const void* column_weights;
  const float* bias;
  float* output;
  int64_t num_tokens;
  int64_t input_size;
  int64_t num_modules;
  int64_t module_size;
  winnow_dtype input_type;
  winnow_dtype weight_type;
} winnow_multiplicative_layer_arguments;

WINNOW_C winnow_status winnow_multiplicative_layer(const winnow_multiplicative_layer_arguments* arguments,
                                                   winnow_cpu* cpu, int64_t* detail);
