#include "winnow/base/cpu.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu_context.h"
#include "operation_call.h"

namespace winnow {

TEST(Cpu, VisitsEveryItemOnceWhateverTheThreadsAndGrain) {
  for (int threads : {1, 2, 5}) {
    const OwnedCpu cpu = open_cpu(threads, WINNOW_INSTRUCTION_SET_PORTABLE);
    for (int64_t items : {0, 1, 2, 63, 1000}) {
      for (int64_t grain : {1, 7, 4096}) {
        std::vector<std::atomic<int>> visits(items);
        cpu->parallel_for(items, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) visits[i]++;
        });
        for (int64_t i = 0; i < items; ++i)
          ASSERT_EQ(visits[i], 1) << items << " items, grain " << grain << ", item " << i;
      }
    }
  }
}

TEST(Cpu, ServesCallersFromSeveralThreads) {
  const OwnedCpu cpu = open_cpu(3, WINNOW_INSTRUCTION_SET_PORTABLE);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round)
        cpu->parallel_for(100, 3, [&](int64_t begin, int64_t end) { sum += end - begin; });
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(sum, 4 * 500 * 100);
}

TEST(Cpu, CountsTheRegionsThatSeveralThreadsShare) {
  const OwnedCpu alone = open_cpu(1, WINNOW_INSTRUCTION_SET_PORTABLE);
  const OwnedCpu team = open_cpu(2, WINNOW_INSTRUCTION_SET_PORTABLE);
  const auto run = [](winnow_cpu& cpu, int64_t items, int64_t grain) {
    const int64_t before = winnow_cpu_num_regions();
    cpu.parallel_for(items, grain, [](int64_t, int64_t) {});
    return winnow_cpu_num_regions() - before;
  };
  EXPECT_EQ(run(*team, 10, 9), 1);
  EXPECT_EQ(run(*team, 10, 10), 0);
  EXPECT_EQ(run(*team, 0, 1), 0);
  EXPECT_EQ(run(*alone, 10, 1), 0);
  std::thread([&] { EXPECT_EQ(winnow_cpu_num_regions(), 0); }).join();  // of the thread, not of the team
}

TEST(Cpu, RefusesWhatItCannotRun) {
  EXPECT_EQ(winnow_cpu_open(WINNOW_INSTRUCTION_SET_PORTABLE, 0), nullptr);
  EXPECT_STREQ(winnow_last_error(), "num_threads must be at least 1, found 0");
  for (winnow_instruction_set unknown : {99, -1}) {
    EXPECT_EQ(winnow_cpu_supports(unknown), 0);
    EXPECT_EQ(winnow_cpu_open(unknown, 1), nullptr);
    EXPECT_EQ(winnow_last_error(), "instruction set " + std::to_string(unknown) + " is not supported here");
  }
  winnow_cpu_close(nullptr);
}

TEST(Cpu, TellsTheVersionItWasBuiltWith) {
  EXPECT_EQ(winnow_abi_version(), WINNOW_ABI_VERSION);
  EXPECT_EQ(winnow_cpu_supports(winnow_cpu_best_instruction_set()), 1);
}

#ifndef __SANITIZE_ADDRESS__  // whose own memory a limit would hit
// Stacks of 8 MiB each: some threads start, then one does not. The process goes on.
TEST(Cpu, EndsTheThreadsThatStartedWhereOthersDoNot) {
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  rlimit tight = before;
  tight.rlim_cur = rlim_t{1} << 30;
  setrlimit(RLIMIT_AS, &tight);
  winnow_cpu* refused = winnow_cpu_open(WINNOW_INSTRUCTION_SET_PORTABLE, 1000);
  setrlimit(RLIMIT_AS, &before);
  EXPECT_EQ(refused, nullptr);
  EXPECT_NE(std::string(winnow_last_error()).find(" of 1000: "), std::string::npos) << winnow_last_error();
  open_cpu(3, WINNOW_INSTRUCTION_SET_PORTABLE);
}
#endif

}  // namespace winnow
