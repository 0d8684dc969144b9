// The rules of the race check one by one, on accesses made by hand. What real kernels show is in seeded_bugs_test.cpp.
#include <gtest/gtest.h>

#include "block_driver.h"

namespace winnow::gpusim {
namespace {

constexpr Space kS = Space::kShared, kG = Space::kGlobal;
constexpr AccessKind kLoad = AccessKind::kLoad, kStore = AccessKind::kStore, kAtomic = AccessKind::kAtomic;

TEST(SharedRace, ABarrierOrdersAndNothingElseDoes) {
  BlockDriver d(2);
  d.begin();
  d.access(kS, kStore, 1, 0, 0);
  d.barrier();
  d.access(kS, kLoad, 2, 1, 0);
  EXPECT_EQ(d.found(), "");
  d.barrier();
  d.access(kS, kStore, 3, 0, 0, 4, 4, kAll, 2);
  d.access(kS, kLoad, 4, 1, 0);
  EXPECT_EQ(d.found(), "race in shared memory@4");
  EXPECT_NE(d.last_message.find("races with the write by thread (0,0,0) at ptx line 3"), std::string::npos)
      << d.last_message;
}

TEST(SharedRace, AWriteAfterUnorderedReadsOfSeveralWarps) {
  BlockDriver d(4);
  d.begin();
  d.access(kS, kStore, 1, 0, 0);
  d.barrier();
  for (uint32_t w = 1; w < 4; ++w) d.access(kS, kLoad, 2, w, 0, 0);  // the same word by all lanes of three warps
  d.access(kS, kStore, 3, 0, 0, 4, 4, 1, 9);
  EXPECT_EQ(d.found(), "race in shared memory@3");
  d.barrier();
  for (uint32_t w = 1; w < 4; ++w) d.access(kS, kLoad, 2, w, 0, 0);
  d.barrier();
  d.access(kS, kStore, 3, 0, 0, 4, 4, 1, 8);
  EXPECT_EQ(d.found(), "");
}

TEST(SharedRace, OneReaderOfManyIsEnough) {
  // Warps 1 and 2 read; only warp 1 meets the writer at a barrier.
  BlockDriver d(3);
  d.begin();
  d.access(kS, kStore, 1, 0, 0);
  d.barrier();
  d.access(kS, kLoad, 2, 1, 0);
  d.access(kS, kLoad, 3, 2, 0);
  for (uint32_t w : {0u, 1u}) d.at().barrier_arrived(1, w, kAll, true, true, 50);
  d.at().barrier_released(1);
  d.access(kS, kStore, 4, 0, 0, 4, 4, kAll, 7);
  EXPECT_EQ(d.found(), "race in shared memory@4");
  EXPECT_NE(d.last_message.find("thread (64,0,0)"), std::string::npos) << d.last_message;
}

TEST(SharedRace, NamedBarriersOrderThoseWhoTakePart) {
  // Producer: warp 0, consumer: warp 1, bystander: warp 2.
  BlockDriver d(3);
  d.begin();
  d.access(kS, kStore, 1, 0, 0);
  d.at().barrier_arrived(1, 0, kAll, false, true, 50);  // bar.arrive
  d.at().barrier_arrived(1, 1, kAll, true, true, 51);   // bar.sync
  d.at().barrier_released(1);
  d.access(kS, kLoad, 2, 1, 0);
  EXPECT_EQ(d.found(), "");
  d.access(kS, kStore, 3, 0, 0, 4, 4, kAll, 5);  // the producer did not wait: it may overwrite what is being read
  EXPECT_EQ(d.found(), "race in shared memory@3");
  d.access(kS, kLoad, 4, 2, 0);
  EXPECT_EQ(d.found(), "race in shared memory@4");
}

TEST(SharedRace, WhatIsWrittenAfterBarArriveIsNotCovered) {
  BlockDriver d(2);
  d.begin();
  d.at().barrier_arrived(1, 0, kAll, false, true, 50);
  d.access(kS, kStore, 1, 0, 0);
  d.at().barrier_arrived(1, 1, kAll, true, true, 51);
  d.at().barrier_released(1);
  d.access(kS, kLoad, 2, 1, 0);
  EXPECT_EQ(d.found(), "race in shared memory@2");
}

TEST(SharedRace, LanesOfAWarpNeedSyncwarp) {
  BlockDriver d(1);
  d.begin();
  d.access(kS, kStore, 1, 0, 0);
  d.access(kS, kLoad, 2, 0, 0);  // each lane its own
  EXPECT_EQ(d.found(), "");
  d.access(kS, kLoad, 3, 0, 4, 4, 4, 0x7FFF'FFFF);  // the neighbour's
  EXPECT_EQ(d.found(), "race in shared memory@3");
  d.at().warp_sync(0, kAll);
  d.access(kS, kLoad, 4, 0, 4, 4, 4, 0x7FFF'FFFF);
  EXPECT_EQ(d.found(), "");
  d.access(kS, kStore, 5, 0, 0, 4, 4, kAll, 3);  // lane i read word i + 1, which lane i + 1 writes
  EXPECT_EQ(d.found(), "race in shared memory@5");
}

TEST(SharedRace, SyncwarpOfSomeLanesOrdersTheseOnly) {
  BlockDriver d(1);
  d.begin();
  d.access(kS, kStore, 1, 0, 0);
  d.at().warp_sync(0, 0xFFFF);
  d.access(kS, kLoad, 2, 0, 4, 4, 4, 0x7FFF);
  EXPECT_EQ(d.found(), "");
  d.access(kS, kLoad, 3, 0, 4, 4, 4, 0x8000);  // lane 15 reads what lane 16 wrote
  EXPECT_EQ(d.found(), "race in shared memory@3");
}

TEST(SharedRace, AtomicsDoNotRaceWithEachOtherButWithLoads) {
  BlockDriver d(2);
  d.begin();
  d.access(kS, kStore, 1, 0, 0);
  d.barrier();
  d.access(kS, kAtomic, 2, 0, 0, 0);
  d.access(kS, kAtomic, 2, 1, 0, 0);
  EXPECT_EQ(d.found(), "");
  d.access(kS, kLoad, 3, 1, 0, 0);
  EXPECT_EQ(d.found(), "race in shared memory@3");
}

TEST(SharedRace, WritingTheValueThatIsThereIsBenign) {
  BlockDriver d(2);
  d.begin();
  d.access(kS, kStore, 1, 0, 0, 0, 4, kAll, 7);  // all lanes the same value to the same word
  d.access(kS, kStore, 1, 1, 0, 0, 4, kAll, 7);
  EXPECT_EQ(d.found(), "");
  d.access(kS, kStore, 2, 1, 0, 0, 4, 1, 8);
  EXPECT_EQ(d.found(), "race in shared memory@2");
}

TEST(SharedRace, NeighboursInOneWordDoNotRace) {
  BlockDriver d(2);
  d.begin();
  d.access(kS, kStore, 1, 0, 0, 2, 1);
  d.access(kS, kStore, 2, 1, 1, 2, 1);
  d.access(kS, kStore, 3, 0, 256, 4, 2);
  d.access(kS, kStore, 4, 1, 258, 4, 2);
  EXPECT_EQ(d.found(), "");
  d.access(kS, kStore, 5, 1, 0, 2, 2, 1, 9);
  EXPECT_EQ(d.found(), "race in shared memory@5");
}

TEST(SharedRace, UnwrittenBytesAreFoundExactly) {
  BlockDriver d(1);
  d.begin();
  d.access(kS, kStore, 1, 0, 0, 4, 4, 0x7);
  d.access(kS, kLoad, 2, 0, 0, 4, 4, 0x7);
  EXPECT_EQ(d.found(), "");
  d.access(kS, kLoad, 3, 0, 0, 4, 4, 0xF);
  EXPECT_EQ(d.found(), "uninitialised read@3");
  d.access(kS, kLoad, 4, 0, 8, 0, 8, 1 << 2);  // half of it is written
  EXPECT_NE(d.found().find("uninitialised read@4"), std::string::npos);
  d.block(0);
  d.access(kS, kLoad, 5, 0, 0, 4, 4, 1);  // the next block starts anew
  EXPECT_EQ(d.found(), "uninitialised read@5");
}

TEST(SharedRace, PendingCopiesMayNotBeTouched) {
  BlockDriver d(2);
  d.begin();
  const auto copy = [&](uint32_t instruction) { d.access(kS, AccessKind::kAsyncTarget, instruction, 0, 0, 16, 16); };
  uint64_t addresses[32];
  for (uint64_t lane = 0; lane < 32; ++lane) addresses[lane] = lane * 16;
  copy(1);
  d.access(kS, kLoad, 2, 0, 0, 16, 16);  // even by the thread that issued it
  EXPECT_EQ(d.found(), "asynchronous copy not waited for@2");
  d.barrier();
  d.access(kS, kLoad, 3, 1, 0, 16, 16);  // whatever the barriers say
  EXPECT_EQ(d.found(), "asynchronous copy not waited for@3");
  d.at().async_arrived(0, kAll, 16, addresses);
  d.access(kS, kLoad, 4, 0, 0, 16, 16);
  EXPECT_EQ(d.found(), "");
  d.access(kS, kLoad, 5, 1, 0, 16, 16);  // waited for by warp 0 only, no barrier
  EXPECT_EQ(d.found(), "race in shared memory@5");
  d.barrier();
  d.access(kS, AccessKind::kMatrixLoad, 6, 1, 0, 16, 16);
  EXPECT_EQ(d.found(), "");
  copy(7);  // refilled while warp 1 may still read
  EXPECT_EQ(d.found(), "race in shared memory@7");
}

TEST(SharedRace, AMatrixIsReadByTheWholeWarp) {
  BlockDriver d(1);
  d.begin();
  d.access(kS, kStore, 1, 0, 0, 16, 16);
  d.access(kS, AccessKind::kMatrixLoad, 2, 0, 0, 16, 16);  // each lane names the row that it wrote
  EXPECT_EQ(d.found(), "race in shared memory@2");
  d.at().warp_sync(0, kAll);
  d.access(kS, AccessKind::kMatrixLoad, 3, 0, 0, 16, 16);
  EXPECT_EQ(d.found(), "");
}

TEST(DivergentBarrier, DifferentLinesAreReportedCountedBarriersAreNot) {
  BlockDriver d(2);
  d.begin();
  d.at().barrier_arrived(0, 0, kAll, true, false, 10);
  d.at().barrier_arrived(0, 1, kAll, true, false, 20);
  d.at().barrier_released(0);
  EXPECT_EQ(d.found(), "divergent barrier@20");
  d.at().barrier_arrived(1, 0, kAll, true, true, 10);
  d.at().barrier_arrived(1, 1, kAll, true, true, 20);
  d.at().barrier_released(1);
  d.barrier();
  EXPECT_EQ(d.found(), "");
  d.at().barrier_arrived(0, 0, 0xFFFF, true, false, 10);
  d.at().barrier_arrived(0, 0, 0xFFFF'0000, true, false, 20);
  EXPECT_EQ(d.found(), "divergent barrier@20");
}

class GlobalRace : public testing::Test {
 protected:
  BlockDriver d{2, 3};
  uint64_t data = 0, flag = 0;
  void SetUp() override {
    const std::vector<uint8_t> zeros(4096);
    data = d.memory.allocate(4096);
    flag = d.memory.allocate(256);
    d.memory.write(data, zeros.data(), zeros.size());
    d.memory.write(flag, zeros.data(), 256);
    d.begin();
  }
  void ticket(uint32_t instruction) { d.access(kG, kAtomic, instruction, 0, flag, 0, 4, 1, 1, MemoryOrder::kRelaxed); }

  // Every block writes its part, then takes a ticket; the last one reads all parts. What was found.
  std::string last_block_reads_all(bool fenced) {
    for (uint32_t b = 0; b < 3; ++b) {
      d.block(b);
      d.access(kG, kStore, 1, 1, data + b * 256, 4, 4, kAll, 5);
      d.barrier();
      if (fenced) d.at().fence(0, 1, true);
      ticket(2);
    }
    d.barrier();  // thread 0 tells the others that they are in the last block
    for (uint32_t source = 0; source < 3; ++source) d.access(kG, kLoad, 3, 1, data + source * 256);
    return d.found();
  }
};

TEST_F(GlobalRace, BlocksAreNotOrderedByAnyBarrier) {
  d.access(kG, kStore, 1, 0, data);
  d.barrier();
  d.access(kG, kLoad, 2, 1, data);
  EXPECT_EQ(d.found(), "");
  d.block(1);
  d.barrier();
  d.access(kG, kLoad, 3, 0, data);
  EXPECT_EQ(d.found(), "race in global memory@3");
  EXPECT_NE(d.last_message.find("block (0,0,0) thread (0,0,0)"), std::string::npos) << d.last_message;
}

TEST_F(GlobalRace, ReadsByManyBlocksThenAWrite) {
  for (uint32_t b = 0; b < 3; ++b) {
    d.block(b);
    d.access(kG, kLoad, 1, 0, data);
  }
  EXPECT_EQ(d.found(), "");
  d.access(kG, kStore, 2, 0, data, 4, 4, kAll, 5);
  EXPECT_EQ(d.found(), "race in global memory@2");
}

TEST_F(GlobalRace, TheTicketPattern) { EXPECT_EQ(last_block_reads_all(true), ""); }
TEST_F(GlobalRace, TheTicketPatternWithoutItsFence) {
  EXPECT_EQ(last_block_reads_all(false), "race in global memory@3");
}

TEST_F(GlobalRace, AFenceOfTheBlockDoesNotReachOthers) {
  d.access(kG, kStore, 1, 0, data, 4, 4, 1);
  d.at().fence(0, 1, false);
  ticket(2);
  d.block(1);
  ticket(2);
  d.access(kG, kLoad, 3, 0, data, 4, 4, 1);
  EXPECT_EQ(d.found(), "race in global memory@3");
}

TEST_F(GlobalRace, WhatIsWrittenAfterTheFenceIsNotReleased) {
  d.at().fence(0, 1, true);
  d.access(kG, kStore, 1, 0, data, 4, 4, 1);
  ticket(2);
  d.block(1);
  ticket(2);
  d.access(kG, kLoad, 3, 0, data, 4, 4, 1);
  EXPECT_EQ(d.found(), "race in global memory@3");
}

TEST_F(GlobalRace, AFlagIsAcquiredByALoadWithAFence) {
  for (bool fenced : {true, false}) {
    d.block(0);
    d.access(kG, kStore, 1, 0, data + (fenced ? 0 : 512), 4, 4, 1, 3);
    d.at().fence(0, 1, true);
    d.access(kG, kStore, 2, 0, flag, 4, 4, 1, 1, MemoryOrder::kRelaxed);
    d.block(1);
    d.access(kG, kLoad, 3, 0, flag, 4, 4, 1, 1, MemoryOrder::kRelaxed);
    if (fenced) d.at().fence(0, 1, true);
    d.access(kG, kLoad, 4, 0, data + (fenced ? 0 : 512), 4, 4, 1);
    EXPECT_EQ(d.found(), fenced ? "" : "race in global memory@4");
  }
}

TEST_F(GlobalRace, ReleaseAndAcquireOnTheAccessItself) {
  d.access(kG, kStore, 1, 0, data, 4, 4, 1);
  d.access(kG, kStore, 2, 0, flag, 4, 4, 1, 1, MemoryOrder::kRelease);
  d.block(1);
  d.access(kG, kLoad, 3, 0, flag, 4, 4, 1, 1, MemoryOrder::kAcquire);
  d.access(kG, kLoad, 4, 0, data, 4, 4, 1);
  EXPECT_EQ(d.found(), "");
  d.access(kG, kLoad, 5, 1, data, 4, 4, 1);  // a warp that has not acquired
  EXPECT_EQ(d.found(), "race in global memory@5");
}

TEST_F(GlobalRace, ALockIsHandedOn) {
  for (uint32_t b = 0; b < 3; ++b) {
    d.block(b);
    for (uint32_t w = 0; w < 2; ++w) {
      d.access(kG, kAtomic, 1, w, flag, 0, 4, 1, 1, MemoryOrder::kRelaxed);
      d.at().fence(w, 1, true);
      d.access(kG, kLoad, 2, w, data, 4, 4, 1);
      d.access(kG, kStore, 3, w, data, 4, 4, 1, static_cast<uint8_t>(10 + b * 2 + w));
      d.at().fence(w, 1, true);
      d.access(kG, kAtomic, 4, w, flag, 0, 4, 1, 1, MemoryOrder::kRelaxed);
    }
  }
  EXPECT_EQ(d.found(), "");
  d.access(kG, kStore, 5, 0, data, 4, 4, 1, 99);  // without the lock
  EXPECT_EQ(d.found(), "race in global memory@5");
}

TEST(Initialised, GlobalBytesAreWrittenByHostOrKernel) {
  BlockDriver d(1);
  const uint64_t data = d.memory.allocate(1024);
  d.memory.fill(data, 0, 512);
  d.begin();
  d.access(kG, kLoad, 1, 0, data + 384);
  EXPECT_EQ(d.found(), "");
  d.access(kG, kLoad, 2, 0, data + 388);
  EXPECT_EQ(d.found(), "uninitialised read@2");
  EXPECT_NE(d.last_message.find("512 bytes into an allocation of 1024"), std::string::npos) << d.last_message;
  d.at().warp_sync(0, kAll);
  d.access(kG, kStore, 3, 0, data + 512);
  d.access(kG, kLoad, 4, 0, data + 512);
  d.access(kG, kLoad, 5, 0, data + 4, 8, 4);
  EXPECT_EQ(d.found(), "");
  d.access(kG, AccessKind::kAsyncSource, 6, 0, data + 640, 0, 16, 1);
  EXPECT_EQ(d.found(), "uninitialised read@6");
}

TEST(Initialised, LocalBytesPerThread) {
  BlockDriver d(2, 1, 64);
  d.begin();
  d.access(Space::kLocal, kStore, 1, 0, 8, 0, 4, 0xF);
  d.access(Space::kLocal, kLoad, 2, 0, 8, 0, 4, 0xF);
  EXPECT_EQ(d.found(), "");
  d.access(Space::kLocal, kLoad, 3, 0, 8, 0, 4, 0x10);
  EXPECT_EQ(d.found(), "uninitialised read@3");
  d.access(Space::kLocal, kLoad, 4, 1, 8, 0, 4, 1);
  EXPECT_EQ(d.found(), "uninitialised read@4");
}

TEST(Options, EachCheckCanBeSwitchedOff) {
  for (const bool races : {true, false}) {
    for (const bool initialised : {true, false}) {
      BlockDriver d(2);
      d.options.check_races = races;
      d.options.check_initialised = initialised;
      const uint64_t data = d.memory.allocate(4096);
      d.begin();
      d.access(kS, kStore, 1, 0, 0);
      d.access(kS, kLoad, 2, 1, 0);
      d.access(kG, kLoad, 3, 0, data);
      EXPECT_EQ(d.found(), std::string(races ? "race in shared memory@2" : "") + (races && initialised ? " " : "") +
                               (initialised ? "uninitialised read@3" : ""));
    }
  }
}

}  // namespace
}  // namespace winnow::gpusim
