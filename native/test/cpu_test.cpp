#include "winnow/base/cpu.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "base/cpu_context.h"

namespace winnow {

TEST(Cpu, VisitsEveryItemOnceWhateverTheThreadsAndGrain) {
  for (int threads : {1, 2, 5}) {
    Cpu* cpu = cpu_open(InstructionSet::portable, threads);
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
    cpu_close(cpu);
  }
}

TEST(Cpu, ServesCallersFromSeveralThreads) {
  Cpu* cpu = cpu_open(InstructionSet::portable, 3);
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
  cpu_close(cpu);
}

TEST(Cpu, RefusesWhatItCannotRun) {
  EXPECT_THROW(cpu_open(InstructionSet::portable, 0), std::invalid_argument);
  EXPECT_THROW(cpu_open(static_cast<InstructionSet>(99), 1), std::invalid_argument);
}

#ifndef __SANITIZE_ADDRESS__  // whose own memory a limit would hit
// Stacks of 8 MiB each: some threads start, then one does not. The process goes on.
TEST(Cpu, EndsTheThreadsThatStartedWhereOthersDoNot) {
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  rlimit tight = before;
  tight.rlim_cur = rlim_t{1} << 30;
  setrlimit(RLIMIT_AS, &tight);
  EXPECT_THROW(cpu_open(InstructionSet::portable, 1000), std::system_error);
  setrlimit(RLIMIT_AS, &before);
  cpu_close(cpu_open(InstructionSet::portable, 3));
}
#endif

}  // namespace winnow
