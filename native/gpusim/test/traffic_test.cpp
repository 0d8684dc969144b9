// Sectors, wavefronts and distinct bytes against figures worked out by hand.
#include <gtest/gtest.h>

#include "block_driver.h"

namespace winnow::gpusim {
namespace {

Counters shared_loads(uint64_t step, uint32_t bytes, uint32_t lanes = kAll) {
  BlockDriver d(1);
  d.options.check_initialised = false;
  d.begin();
  d.access(Space::kShared, AccessKind::kLoad, 1, 0, 0, step, bytes, lanes);
  return d.finish();
}

TEST(Wavefronts, StridesOfWords) {
  const uint64_t strides[] = {0, 1, 2, 4, 8, 16, 32, 33}, expected[] = {1, 1, 2, 4, 8, 16, 32, 1};
  for (int i = 0; i < 8; ++i) {
    const Counters c = shared_loads(strides[i] * 4, 4);
    EXPECT_EQ(c.shared_wavefronts, expected[i]) << "stride " << strides[i];
    EXPECT_EQ(c.shared_ideal_wavefronts, 1u);
  }
}

TEST(Wavefronts, WideAccessesGoInParts) {
  EXPECT_EQ(shared_loads(8, 8).shared_wavefronts, 2u);
  EXPECT_EQ(shared_loads(16, 16).shared_wavefronts, 4u);
  EXPECT_EQ(shared_loads(16, 16).shared_ideal_wavefronts, 4u);
  EXPECT_EQ(shared_loads(16, 16, 0xFF).shared_ideal_wavefronts, 1u);
  EXPECT_EQ(shared_loads(16, 8).shared_wavefronts, 4u);  // every other pair of banks
  EXPECT_EQ(shared_loads(2, 2).shared_wavefronts, 1u);
  // Rows of 64 bytes padded to 80: a quarter of the warp, 8 rows of 16 bytes, then meets 8 different groups of 4 banks.
  EXPECT_EQ(shared_loads(80, 16).shared_wavefronts, 4u);
  EXPECT_EQ(shared_loads(64, 16).shared_wavefronts, 4u * 4);
  EXPECT_EQ(shared_loads(128, 16).shared_wavefronts, 4u * 8);
}

TEST(Sectors, DistinctPerInstruction) {
  const struct {
    uint64_t offset, step;
    uint32_t bytes, lanes;
    uint64_t sectors;
  } cases[] = {{0, 4, 4, kAll, 4},    {4, 4, 4, kAll, 5},       {0, 0, 4, kAll, 1}, {0, 32, 4, kAll, 32},
               {0, 16, 16, kAll, 16}, {0, 64, 16, kAll, 32},    {0, 8, 4, kAll, 8}, {0, 4, 4, 0x8000'0001, 2},
               {0, 1, 1, kAll, 1},    {0, 2, 2, 0x0001'0001, 2}};
  for (const auto& t : cases) {
    BlockDriver d(1);
    const uint64_t data = d.memory.allocate(8192);
    d.memory.fill(data, 0, 8192);
    d.begin();
    d.access(Space::kGlobal, AccessKind::kLoad, 1, 0, data + t.offset, t.step, t.bytes, t.lanes);
    d.access(Space::kGlobal, AccessKind::kStore, 2, 0, data + t.offset, t.step, t.bytes, t.lanes);
    const Counters c = d.finish();
    EXPECT_EQ(c.global_load_sectors, t.sectors) << t.step << " x " << t.bytes;
    EXPECT_EQ(c.global_store_sectors, t.sectors);
    EXPECT_EQ(c.global_load_bytes, uint64_t{t.bytes} * static_cast<uint32_t>(__builtin_popcount(t.lanes)));
    EXPECT_EQ(c.global_load_requests, 1u);
  }
}

TEST(Sectors, DescendingAddressesCountAlike) {
  BlockDriver d(1);
  const uint64_t data = d.memory.allocate(8192);
  d.memory.fill(data, 0, 8192);
  d.begin();
  d.access(Space::kGlobal, AccessKind::kLoad, 1, 0, data + 31 * 4, ~uint64_t{0} - 3);  // step -4
  EXPECT_EQ(d.finish().global_load_sectors, 4u);
}

TEST(DistinctBytes, AllocationsComeByAddressWhateverWasFreed) {
  BlockDriver d(1);
  const uint64_t gone = d.memory.allocate(256), a = d.memory.allocate(256), b = d.memory.allocate(256);
  for (const uint64_t address : {a, b}) d.memory.fill(address, 0, 256);
  d.memory.free(gone);
  d.begin();
  d.access(Space::kGlobal, AccessKind::kLoad, 1, 0, b);
  d.access(Space::kGlobal, AccessKind::kLoad, 2, 0, a, 2, 2);
  const Counters c = d.finish();
  ASSERT_EQ(c.allocations.size(), 2u);
  EXPECT_EQ(c.allocations[0].address, a);
  EXPECT_EQ(c.allocations[0].distinct_load_bytes, 64u);
  EXPECT_EQ(c.allocations[1].address, b);
  EXPECT_EQ(c.allocations[1].distinct_load_bytes, 128u);
}

TEST(DistinctBytes, PerAllocationAndSinceTheReset) {
  BlockDriver d(1);
  const uint64_t a = d.memory.allocate(4096), b = d.memory.allocate(100);
  d.memory.fill(a, 0, 4096);
  d.memory.fill(b, 0, 100);
  d.begin();
  d.access(Space::kGlobal, AccessKind::kLoad, 1, 0, a + 1000);
  d.access(Space::kGlobal, AccessKind::kLoad, 1, 0, a + 1064);  // half of it again
  d.access(Space::kGlobal, AccessKind::kAsyncSource, 2, 0, a, 0, 16, 1);
  d.access(Space::kGlobal, AccessKind::kStore, 3, 0, b, 0, 4, 1);
  d.access(Space::kGlobal, AccessKind::kReduction, 4, 0, b, 0, 4, 1, 1, MemoryOrder::kRelaxed);
  const Counters c = d.finish();
  ASSERT_EQ(c.allocations.size(), 2u);
  EXPECT_EQ(c.allocations[0].address, a);
  EXPECT_EQ(c.allocations[0].load_bytes, 128u + 128 + 16);
  EXPECT_EQ(c.allocations[0].distinct_load_bytes, 192u + 16);
  EXPECT_EQ(c.allocations[1].distinct_store_bytes, 4u);
  EXPECT_EQ(c.allocations[1].distinct_load_bytes, 0u);
  EXPECT_EQ(c.async_copy_bytes, 16u);
  EXPECT_EQ(d.memory.distinct_bytes_read(a, 4096), 208u);
  EXPECT_EQ(d.memory.distinct_bytes_read(a + 1000, 64), 64u);
  EXPECT_EQ(d.memory.distinct_bytes_read(a + 16, 984), 0u);
  EXPECT_EQ(d.memory.distinct_bytes_written(b, 100), 4u);
  d.memory.reset_touched();
  EXPECT_EQ(d.memory.distinct_bytes_read(a, 4096), 0u);
}

}  // namespace
}  // namespace winnow::gpusim
