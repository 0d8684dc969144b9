// Clamps values in place, NaN stays NaN. java: org.winnow.op.Clamp.
//
//   values[i] = min(max(values[i], -limit), limit)   for i in [0, size)
//
//   values  [size] f32   overwritten
//   size    number of elements
//   limit   not negative
#pragma once

#include "winnow/base/operation.h"

typedef struct winnow_clamp_arguments {
  float* values;
  int64_t size;
  float limit;
} winnow_clamp_arguments;

WINNOW_C winnow_status winnow_clamp(const winnow_clamp_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
