#include "base/cpu_context.h"
#include "base/entry.h"
#include "winnow/clamp.h"

namespace winnow {

namespace {

constexpr int64_t kGrain = int64_t{1} << 14;

}  // namespace

void clamp_cpu(const winnow_clamp_arguments& arguments, Cpu& cpu) {
  float* values = arguments.values;
  const float limit = arguments.limit;
  cpu.parallel_for(arguments.size, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float value = values[i];
      value = value < -limit ? -limit : value;  // in this order both comparisons are false for NaN, which passes
      values[i] = value > limit ? limit : value;
    }
  });
}

}  // namespace winnow

WINNOW_OPERATION(clamp)
