#include "base/cpu_context.h"
#include "base/entry.h"
#include "winnow/add.h"

namespace winnow {

namespace {

constexpr int64_t kGrain =
    int64_t{1} << 14;  // 64 KiB of each operand: below that a second thread costs more than it saves

}  // namespace

void add_cpu(const winnow_add_arguments& arguments, Cpu& cpu) {
  // A copy of both pointers would be one 16-byte load of what the caller has just written as two words.
  cpu.parallel_for(arguments.size, kGrain, [&arguments](int64_t begin, int64_t end) {
    float* accumulator = arguments.accumulator;
    const float* addend = arguments.addend;
    for (int64_t i = begin; i < end; ++i) accumulator[i] += addend[i];
  });
}

}  // namespace winnow

WINNOW_OPERATION(add)
