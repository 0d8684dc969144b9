#include <algorithm>
#include <cstring>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "base/read_once.h"
#include "winnow/kv_append.h"

namespace winnow {

void kv_append_cpu(const winnow_kv_append_arguments& arguments, Cpu& cpu) {
  const auto& a = arguments;
  int64_t grain = 1 + (int64_t{1} << 14) / (a.width + 1);
  cpu.parallel_for(a.num_tokens * a.num_heads, grain, [&a](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end;) {
      const int64_t token = row / a.num_heads, position = a.first_position + token;
      const int64_t page_index = position / a.page_size, slot = position - page_index * a.page_size;
      auto* page = reinterpret_cast<float*>(read_once(a.pages[page_index]));
      int64_t head = row - token * a.num_heads;
      const int64_t last = std::min(a.num_heads, head + end - row);
      row += last - head;
      if (page == nullptr) continue;  // cleared meanwhile
      for (; head < last; ++head) {
        std::memcpy(page + (head * a.page_size + slot) * a.row_stride + a.column,
                    a.source + token * a.token_stride + head * a.head_stride, a.width * sizeof(float));
      }
    }
  });
}

}  // namespace winnow

WINNOW_OPERATION(kv_append)
