#include <gtest/gtest.h>

#include <vector>

#include "gpusim.h"
#include "mem/allocation.h"

namespace winnow::gpusim {
namespace {

TEST(Memory, AddressesAreNeverUsedTwice) {
  Memory memory;
  const uint64_t first = memory.allocate(100);
  memory.free(first);
  const uint64_t second = memory.allocate(100);
  EXPECT_GE(first, 0x7000'0000'0000u);
  EXPECT_GT(second, first + 100);
  EXPECT_THROW(memory.free(first), std::invalid_argument);
  EXPECT_THROW(memory.free(second + 1), std::invalid_argument);
}

TEST(Memory, KnowsWhatIsLive) {
  Memory memory;
  const uint64_t a = memory.allocate(8), b = memory.allocate(8), c = memory.allocate(8);
  memory.free(a);
  ASSERT_EQ(memory.live_allocations().size(), 2u);
  const uint64_t d = memory.allocate(8);
  memory.free(c);
  memory.free(d);
  ASSERT_EQ(memory.live_allocations().size(), 1u);
  EXPECT_EQ(memory.live_allocations()[0]->address, b);
  for (const uint64_t address : {a, c, d}) EXPECT_FALSE(memory.find(address)->live);
}

TEST(Memory, CopiesStayInsideOneLiveAllocation) {
  Memory memory;
  const uint64_t address = memory.allocate(8);
  std::vector<uint8_t> bytes(9, 1);
  memory.read(address, bytes.data(), 8);
  EXPECT_EQ(bytes[7], 0xA5);
  memory.write(address, bytes.data(), 8);
  EXPECT_THROW(memory.write(address, bytes.data(), 9), MemoryError);
  EXPECT_THROW(memory.read(address + 1, bytes.data(), 8), MemoryError);
  EXPECT_THROW(memory.read(address - 1, bytes.data(), 1), MemoryError);
  memory.free(address);
  EXPECT_THROW(memory.read(address, bytes.data(), 1), MemoryError);
}

TEST(Memory, CopyMovesOverlappingRanges) {
  Memory memory;
  const uint64_t address = memory.allocate(8);
  const uint8_t bytes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  memory.write(address, bytes, 8);
  memory.copy(address + 2, address, 6);
  uint8_t found[8];
  memory.read(address, found, 8);
  const uint8_t expected[8] = {0, 1, 0, 1, 2, 3, 4, 5};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(found[i], expected[i]);
}

}  // namespace
}  // namespace winnow::gpusim
