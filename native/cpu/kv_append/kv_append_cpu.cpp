#include <cstring>

#include "base/cpu_context.h"
#include "winnow/kv_append.h"

namespace winnow {

void kv_append_cpu(const float* source, int64_t token_stride, int64_t head_stride, const uint64_t* pages,
                   int64_t first_position, int64_t num_tokens, int64_t num_heads, int64_t page_size, int64_t row_stride,
                   int64_t column, int64_t width, Cpu* cpu) {
  int64_t grain = 1 + (int64_t{1} << 14) / (width + 1);
  cpu->parallel_for(num_tokens * num_heads, grain, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t token = row / num_heads, head = row % num_heads, position = first_position + token;
      auto* page = reinterpret_cast<float*>(pages[position / page_size]);
      std::memcpy(page + (head * page_size + position % page_size) * row_stride + column,
                  source + token * token_stride + head * head_stride, width * sizeof(float));
    }
  });
}

}  // namespace winnow
