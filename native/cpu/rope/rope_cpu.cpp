// One token and head per work item.
#include "base/cpu_context.h"
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

}  // namespace

void rope_cpu(float* values, const float* cos, const float* sin, int64_t num_tokens, int64_t num_heads,
              int64_t head_dim, int64_t rotary_offset, int64_t num_pairs, bool interleaved, Cpu* cpu) {
  auto rotate = interleaved ? rotate_neighbours : rotate_halves;
  int64_t grain = 1 + (int64_t{1} << 13) / (num_pairs + 1);
  cpu->parallel_for(num_tokens * num_heads, grain, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t angles = row / num_heads * num_pairs;
      rotate(values + row * head_dim + rotary_offset, cos + angles, sin + angles, num_pairs);
    }
  });
}

}  // namespace winnow
