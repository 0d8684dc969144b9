#include <cstring>

#include "base/cpu_context.h"
#include "winnow/strided_copy.h"

namespace winnow {

void strided_copy_cpu(const float* source, int64_t source_outer_stride, int64_t source_inner_stride, float* destination,
                      int64_t destination_outer_stride, int64_t destination_inner_stride, int64_t outer_size,
                      int64_t inner_size, int64_t width, Cpu* cpu) {
  int64_t grain = 1 + (int64_t{1} << 14) / (width + 1);
  cpu->parallel_for(outer_size * inner_size, grain, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t i = row / inner_size, j = row % inner_size;
      std::memcpy(destination + i * destination_outer_stride + j * destination_inner_stride,
                  source + i * source_outer_stride + j * source_inner_stride, width * sizeof(float));
    }
  });
}

}  // namespace winnow
