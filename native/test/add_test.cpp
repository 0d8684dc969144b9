#include "winnow/add.h"

#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

TEST(Add, StaysInsideItsBuffers) {
  const OwnedCpu cpu = open_cpu(2);
  for (int64_t size : {0, 1, 7, 64, 40000}) {
    GuardedBuffer<float> accumulator(size, 4), addend(size, 4);
    for (int64_t i = 0; i < size; ++i) accumulator[i] = 1.0f, addend[i] = 2.0f;
    winnow_add_arguments arguments{};
    arguments.accumulator = accumulator.data();
    arguments.addend = addend.data();
    arguments.size = size;
    EXPECT_EQ(call(winnow_add, arguments, cpu), kDone);
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(accumulator[i], 3.0f);
    accumulator.expect_guards_intact();
    addend.expect_guards_intact();
  }
}

}  // namespace winnow
