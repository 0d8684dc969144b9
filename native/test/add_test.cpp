#include "winnow/add.h"

#include "guarded_buffer.h"

namespace winnow {

TEST(Add, StaysInsideItsBuffers) {
  Cpu* cpu = cpu_open(cpu_best_instruction_set(), 2);
  for (int64_t size : {0, 1, 7, 64, 40000}) {
    GuardedBuffer<float> accumulator(size, 4), addend(size, 4);
    for (int64_t i = 0; i < size; ++i) accumulator[i] = 1.0f, addend[i] = 2.0f;
    add_cpu(accumulator.data(), addend.data(), size, cpu);
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(accumulator[i], 3.0f);
    accumulator.expect_guards_intact();
    addend.expect_guards_intact();
  }
  cpu_close(cpu);
}

}  // namespace winnow
