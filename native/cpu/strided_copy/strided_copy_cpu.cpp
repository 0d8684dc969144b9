#include <cstring>

#include "base/cpu_context.h"
#include "base/entry.h"
#include "winnow/strided_copy.h"

namespace winnow {

void strided_copy_cpu(const winnow_strided_copy_arguments& arguments, Cpu& cpu) {
  const auto& a = arguments;
  int64_t grain = 1 + (int64_t{1} << 14) / (a.width + 1);
  cpu.parallel_for(a.outer_size * a.inner_size, grain, [&a](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t i = row / a.inner_size, j = row % a.inner_size;
      std::memcpy(a.destination + i * a.destination_outer_stride + j * a.destination_inner_stride,
                  a.source + i * a.source_outer_stride + j * a.source_inner_stride, a.width * sizeof(float));
    }
  });
}

}  // namespace winnow

WINNOW_OPERATION(strided_copy)
