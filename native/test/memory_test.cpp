#include "winnow/base/memory.h"

#include <gtest/gtest.h>

namespace winnow {

TEST(Memory, IsZeroedAndAligned) {
  for (int64_t size : {int64_t{1}, int64_t{1000}, (int64_t{2} << 20) - 1, int64_t{2} << 20, (int64_t{5} << 20) + 3}) {
    auto* bytes = static_cast<unsigned char*>(memory_allocate(size));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes) % (size < (2 << 20) ? 64 : 2 << 20), 0u);
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(bytes[i], 0);
    bytes[0] = bytes[size - 1] = 1;
    memory_free(bytes, size);
  }
}

TEST(Memory, DiscardGivesBackOnlyWholePagesInside) {
  int64_t size = int64_t{4} << 20;
  auto* bytes = static_cast<unsigned char*>(memory_allocate(size));
  for (int64_t i = 0; i < size; ++i) bytes[i] = 7;
  memory_discard(bytes + 100, 3 * 4096);
  EXPECT_EQ(bytes[4095], 7);
  EXPECT_EQ(bytes[4096], 0);
  EXPECT_EQ(bytes[3 * 4096 - 1], 0);
  EXPECT_EQ(bytes[3 * 4096], 7);
  memory_free(bytes, size);
}

}  // namespace winnow
