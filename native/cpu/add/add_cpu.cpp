#include "base/cpu_context.h"
#include "winnow/add.h"

namespace winnow {

namespace {

constexpr int64_t kGrain =
    int64_t{1} << 14;  // 64 KiB of each operand: below that a second thread costs more than it saves

}  // namespace

void add_cpu(float* accumulator, const float* addend, int64_t size, Cpu* cpu) {
  cpu->parallel_for(size, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) accumulator[i] += addend[i];
  });
}

}  // namespace winnow
