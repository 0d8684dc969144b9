#include "winnow/strided_copy.h"

#include "guarded_buffer.h"
#include "operation_call.h"

namespace winnow {

TEST(StridedCopy, WritesOnlyTheBlock) {
  const OwnedCpu cpu = open_cpu(2);
  constexpr int64_t kOuter = 3, kInner = 2, kWidth = 5, kRow = 7;
  GuardedBuffer<float> source(kOuter * kWidth, 4), destination(kOuter * kInner * kRow, 4);
  for (int64_t i = 0; i < source.size(); ++i) source[i] = static_cast<float>(i);
  for (int64_t i = 0; i < destination.size(); ++i) destination[i] = -1.0f;
  winnow_strided_copy_arguments arguments{};
  arguments.source = source.data();
  arguments.destination = destination.data() + 2;
  arguments.source_outer_stride = kWidth;
  arguments.destination_outer_stride = kInner * kRow;
  arguments.destination_inner_stride = kRow;
  arguments.outer_size = kOuter;
  arguments.inner_size = kInner;
  arguments.width = kWidth;
  EXPECT_EQ(call(winnow_strided_copy, arguments, cpu), kDone);
  for (int64_t i = 0; i < destination.size(); ++i) {
    int64_t column = i % kRow - 2, outer = i / (kInner * kRow);
    ASSERT_EQ(destination[i], column < 0 ? -1.0f : static_cast<float>(outer * kWidth + column)) << "element " << i;
  }
  destination.expect_guards_intact();
}

}  // namespace winnow
