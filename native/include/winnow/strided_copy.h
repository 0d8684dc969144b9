// Copies a block of rows between two strided layouts. java: org.winnow.op.StridedCopy.
//
//   to(i, j)[c] = from(i, j)[c]   for i in [0, outer_size), j in [0, inner_size), c in [0, width)
//   to(i, j)    = destination + i * destination_outer_stride + j * destination_inner_stride
//   from(i, j)  = source + i * source_outer_stride + j * source_inner_stride
//
//   source                    f32   address of the first element
//   destination               f32   address of the first element; the two blocks do not overlap
//   source_outer_stride       elements; 0 repeats a row
//   source_inner_stride       elements
//   destination_outer_stride  elements
//   destination_inner_stride  elements
//   outer_size, inner_size    number of rows in both directions
//   width                     elements of a row
#pragma once

#include "winnow/base/operation.h"

typedef struct winnow_strided_copy_arguments {
  const float* source;
  float* destination;
  int64_t source_outer_stride;
  int64_t source_inner_stride;
  int64_t destination_outer_stride;
  int64_t destination_inner_stride;
  int64_t outer_size;
  int64_t inner_size;
  int64_t width;
} winnow_strided_copy_arguments;

WINNOW_C winnow_status winnow_strided_copy(const winnow_strided_copy_arguments* arguments, winnow_cpu* cpu,
                                           int64_t* detail);
