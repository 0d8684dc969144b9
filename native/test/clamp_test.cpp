#include "winnow/clamp.h"

#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

TEST(Clamp, StaysInsideItsBuffer) {
  const OwnedCpu cpu = open_cpu(2);
  for (int64_t size : {0, 1, 7, 64, 40000}) {
    GuardedBuffer<float> values(size, 4);
    for (int64_t i = 0; i < size; ++i) values[i] = i % 2 == 0 ? 9.0f : -9.0f;
    winnow_clamp_arguments arguments{};
    arguments.values = values.data();
    arguments.size = size;
    arguments.limit = 8;
    EXPECT_EQ(call(winnow_clamp, arguments, cpu), kDone);
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(values[i], i % 2 == 0 ? 8.0f : -8.0f);
    values.expect_guards_intact();
  }
}

}  // namespace winnow
