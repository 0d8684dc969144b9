// One token and head per work item, keys one by one.
#include "winnow/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/cpu_context.h"

namespace winnow {

void attention_cpu(const float* query, const uint64_t* key_pages, const uint64_t* value_pages, const float* sinks, float* output,
                   int64_t num_tokens, int64_t first_position, int64_t num_heads, int64_t num_kv_heads, int64_t key_width,
                   int64_t value_width, int64_t value_row_stride, int64_t page_size, int64_t sliding_window, float scale, Cpu* cpu) {
  int64_t group_size = num_heads / num_kv_heads;
  cpu->parallel_for(num_tokens * num_heads, 1, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t position = first_position + row / num_heads, head = row % num_heads, kv_head = head / group_size;
      const float* q = query + row * key_width;
      float* out = output + row * value_width;
      std::fill(out, out + value_width, 0.0f);
      float max = sinks == nullptr ? -std::numeric_limits<float>::infinity() : sinks[head];
      float sum = sinks == nullptr ? 0.0f : 1.0f;
      for (int64_t j = sliding_window > 0 ? std::max<int64_t>(0, position - sliding_window + 1) : 0; j <= position; ++j) {
        int64_t slot = kv_head * page_size + j % page_size;
        const float* key = reinterpret_cast<const float*>(key_pages[j / page_size]) + slot * key_width;
        const float* value = reinterpret_cast<const float*>(value_pages[j / page_size]) + slot * value_row_stride;
        float dot = 0;
        for (int64_t d = 0; d < key_width; ++d) dot += q[d] * key[d];
        float z = dot * scale, new_max = std::max(max, z);
        float keep = std::exp(max - new_max), weight = std::exp(z - new_max);
        for (int64_t d = 0; d < value_width; ++d) out[d] = out[d] * keep + weight * value[d];
        sum = sum * keep + weight;
        max = new_max;
      }
      for (int64_t d = 0; d < value_width; ++d) out[d] /= sum;
    }
  });
}

}  // namespace winnow
