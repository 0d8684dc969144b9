// Adds one array to another: the residual connection. java: org.winnow.op.Add.
//
//   accumulator[i] += addend[i]   for i in [0, size)
//
//   accumulator  [size] f32   overwritten
//   addend       [size] f32   may be accumulator itself
//   size         number of elements
#pragma once

#include "winnow/base/operation.h"

typedef struct winnow_add_arguments {
  float* accumulator;
  const float* addend;
  int64_t size;
} winnow_add_arguments;

WINNOW_C winnow_status winnow_add(const winnow_add_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
