// Rotary position embedding, in place. java: org.winnow.op.Rope.
//
// The rotary part of a head is its elements [rotary_offset, rotary_offset + 2 * num_pairs). Pair i of token t is
// rotated by an angle with the given cosine and sine:
//
//   first'  = first * cos[t, i] - second * sin[t, i]
//   second' = second * cos[t, i] + first * sin[t, i]
//
//   half-split   first = element i, second = element i + num_pairs of the rotary part
//   interleaved  first = element 2 * i, second = element 2 * i + 1
//
//   next           other values of the same call, at most WINNOW_ROPE_MAX_LINKED with these; they do not overlap these;
//                  null: none
//   values         [num_tokens, num_heads, head_dim] f32   overwritten; elements outside the rotary part are unchanged
//   cos, sin       [num_tokens, num_pairs] f32   multiplied by the attention factor of YaRN
//   num_tokens     tokens
//   num_heads      heads of a token
//   head_dim       elements of a head
//   rotary_offset  first element of the rotary part in a head
//   num_pairs      half the length of the rotary part
//   interleaved    1: pairs are neighbours, 0: half-split
//
// Source: Su et al. 2021, arXiv:2104.09864, eq. (34). Each product is rounded to f32 before the sum.
#pragma once

#include "winnow/base/operation.h"

#define WINNOW_ROPE_MAX_LINKED 2

typedef struct winnow_rope_arguments {
  const struct winnow_rope_arguments* next;
  float* values;
  const float* cos;
  const float* sin;
  int64_t num_tokens;
  int64_t num_heads;
  int64_t head_dim;
  int64_t rotary_offset;
  int64_t num_pairs;
  int32_t interleaved;
} winnow_rope_arguments;

WINNOW_C winnow_status winnow_rope(const winnow_rope_arguments* arguments, winnow_cpu* cpu, int64_t* detail);
