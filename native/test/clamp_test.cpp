#include "winnow/clamp.h"

#include "guarded_buffer.h"

namespace winnow {

TEST(Clamp, StaysInsideItsBuffer) {
  Cpu* cpu = cpu_open(cpu_best_instruction_set(), 2);
  for (int64_t size : {0, 1, 7, 64, 40000}) {
    GuardedBuffer<float> values(size, 4);
    for (int64_t i = 0; i < size; ++i) values[i] = i % 2 == 0 ? 9.0f : -9.0f;
    clamp_cpu(values.data(), size, 8.0f, cpu);
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(values[i], i % 2 == 0 ? 8.0f : -8.0f);
    values.expect_guards_intact();
  }
  cpu_close(cpu);
}

}  // namespace winnow
