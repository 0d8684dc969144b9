// One token and head per work item.
#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/linked.h"
#include "winnow/rope.h"

namespace winnow {

namespace {

void rotate_halves(float* head, const float* cos, const float* sin, int64_t num_pairs) {
  for (int64_t i = 0; i < num_pairs; ++i) {
    float first = head[i], second = head[i + num_pairs];
    head[i] = first * cos[i] - second * sin[i];
    head[i + num_pairs] = second * cos[i] + first * sin[i];
  }
}

void rotate_neighbours(float* head, const float* cos, const float* sin, int64_t num_pairs) {
  for (int64_t i = 0; i < num_pairs; ++i) {
    float first = head[2 * i], second = head[2 * i + 1];
    head[2 * i] = first * cos[i] - second * sin[i];
    head[2 * i + 1] = second * cos[i] + first * sin[i];
  }
}

void rotate_all(const winnow_rope_arguments& a, Cpu& cpu) {
  auto rotate = a.interleaved != 0 ? rotate_neighbours : rotate_halves;
  int64_t grain = 1 + (int64_t{1} << 13) / (a.num_pairs + 1);
  cpu.parallel_for(a.num_tokens * a.num_heads, grain, [&a, rotate](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t angles = row / a.num_heads * a.num_pairs;
      rotate(a.values + row * a.head_dim + a.rotary_offset, a.cos + angles, a.sin + angles, a.num_pairs);
    }
  });
}

}  // namespace

void rope_cpu(const winnow_rope_arguments& arguments, Cpu& cpu) {
  require_linked(arguments, WINNOW_ROPE_MAX_LINKED);
  for_each_linked(arguments, [&cpu](const auto& one) { rotate_all(one, cpu); });
}

}  // namespace winnow

WINNOW_OPERATION(rope)
