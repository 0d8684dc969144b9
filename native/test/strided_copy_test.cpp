#include "winnow/strided_copy.h"

#include "guarded_buffer.h"

namespace winnow {

TEST(StridedCopy, WritesOnlyTheBlock) {
  Cpu* cpu = cpu_open(cpu_best_instruction_set(), 2);
  constexpr int64_t kOuter = 3, kInner = 2, kWidth = 5, kRow = 7;
  GuardedBuffer<float> source(kOuter * kWidth, 4), destination(kOuter * kInner * kRow, 4);
  for (int64_t i = 0; i < source.size(); ++i) source[i] = static_cast<float>(i);
  for (int64_t i = 0; i < destination.size(); ++i) destination[i] = -1.0f;
  strided_copy_cpu(source.data(), kWidth, 0, destination.data() + 2, kInner * kRow, kRow, kOuter, kInner, kWidth, cpu);
  for (int64_t i = 0; i < destination.size(); ++i) {
    int64_t column = i % kRow - 2, outer = i / (kInner * kRow);
    ASSERT_EQ(destination[i], column < 0 ? -1.0f : static_cast<float>(outer * kWidth + column)) << "element " << i;
  }
  destination.expect_guards_intact();
  cpu_close(cpu);
}

}  // namespace winnow
