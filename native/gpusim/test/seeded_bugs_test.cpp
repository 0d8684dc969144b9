// Every mistake of kernels/seeded_bugs.cu must be reported, at its line, and its correct twin must run in silence.
#include <algorithm>
#include <functional>
#include <numeric>

#include "kernel_runner.h"

namespace winnow::gpusim {
namespace {

std::ifstream open_source(const std::string& source) {
  return std::ifstream(std::string(WINNOW_REPOSITORY) + "/" + source);
}

// The text of the source line that a finding names.
std::string line_of(const Finding& finding) {
  std::ifstream file = open_source(finding.source);
  std::string line;
  for (int i = 0; i < finding.source_line; ++i) std::getline(file, line);
  return line;
}

// The number of the line marked "BUG <mark>"; 0 if there is none.
int line_marked(const std::string& source, const std::string& mark) {
  std::ifstream file = open_source(source);
  int number = 1;
  for (std::string line; std::getline(file, line); ++number) {
    if (line.find("// BUG " + mark) != std::string::npos) return number;
  }
  return 0;
}

class SeededBugs : public testing::TestWithParam<uint64_t> {
 protected:
  void SetUp() override {
    NEEDS_COMPILED_KERNELS();
    runner = std::make_unique<KernelRunner>(compiled_kernels("seeded_bugs"));
    runner->options.seed = GetParam();
  }
  std::unique_ptr<KernelRunner> runner;

  static std::vector<int> iota(int count) {
    std::vector<int> values(static_cast<size_t>(count));
    std::iota(values.begin(), values.end(), 0);
    return values;
  }
  static void expect_silence(const LaunchReport& report) {
    EXPECT_EQ(report.error, 0);
    EXPECT_TRUE(report.findings.empty()) << findings_of(report);
  }
  // At least one finding of this kind, on a line marked "BUG <mark>"; it is returned. Others may follow from the same
  // mistake.
  static Finding expect_finding(const LaunchReport& report, FindingKind kind, const std::string& mark, int error = 0) {
    EXPECT_EQ(report.error, error) << findings_of(report);
    const auto found = std::find_if(report.findings.begin(), report.findings.end(), [&](const Finding& finding) {
      return finding.kind == kind && line_of(finding).find("// BUG " + mark) != std::string::npos;
    });
    if (found == report.findings.end()) {
      ADD_FAILURE() << name(kind) << " at \"" << mark << "\" not among\n" << findings_of(report);
      return {};
    }
    EXPECT_GT(found->ptx_line, 0);
    EXPECT_EQ(found->kernel, report.kernel);
    return *found;
  }
};

TEST_P(SeededBugs, OutOfBounds) {
  const int n = 100'003;
  for (const bool wrong : {false, true}) {
    const uint64_t x = runner->buffer(std::vector<float>(n + 1, 1.5f)), y = runner->unwritten<float>(n);
    const LaunchReport report =
        runner->run(wrong ? "scale_wrong" : "scale_right", {391}, {256}, Arguments().add(x).add(y).add(n));
    if (wrong) {
      const Finding f = expect_finding(report, FindingKind::kIllegalAddress, "out of bounds", 700);
      EXPECT_EQ(f.block.x, 390u);
      EXPECT_EQ(f.thread.x, 163u);
      EXPECT_NE(f.message.find("400012"), std::string::npos) << f.message;
    } else {
      expect_silence(report);
      EXPECT_EQ(runner->read<float>(y, n), std::vector<float>(n, 3.0f));
    }
  }
}

TEST_P(SeededBugs, UseAfterFree) {
  const uint64_t x = runner->buffer(std::vector<float>(64, 1)), y = runner->unwritten<float>(64);
  runner->memory.free(y);
  const LaunchReport report = runner->run("scale_right", {1}, {64}, Arguments().add(x).add(y).add(64));
  expect_finding(report, FindingKind::kUseAfterFree, "out of bounds", 700);
}

TEST_P(SeededBugs, TooLittleDynamicSharedMemory) {
  const int rounds = 2;
  const uint64_t x = runner->buffer(std::vector<float>(256 * rounds, 1)), y = runner->unwritten<float>(256 * rounds);
  const Arguments arguments = Arguments().add(x).add(y).add(rounds);
  expect_silence(runner->run("reverse_right", {1}, {256}, arguments, 1024));
  expect_finding(runner->run("reverse_right", {1}, {256}, arguments, 1024 - 64), FindingKind::kIllegalAddress,
                 "write after read", 700);
}

TEST_P(SeededBugs, MissingSyncthreads) {
  const int rounds = 3;
  const uint64_t x = runner->buffer(std::vector<float>(256 * rounds, 1)), y = runner->unwritten<float>(256 * rounds);
  const Arguments arguments = Arguments().add(x).add(y).add(rounds);
  expect_silence(runner->run("reverse_right", {2}, {256}, arguments, 1024));
  const LaunchReport report = runner->run("reverse_wrong", {2}, {256}, arguments, 1024);
  expect_finding(report, FindingKind::kSharedRace, "write after read");
  expect_finding(report, FindingKind::kSharedRace, "read");
}

TEST_P(SeededBugs, MissingSyncwarp) {
  const uint64_t x = runner->buffer(iota(32)), y = runner->unwritten<int>(32);
  expect_silence(runner->run("neighbour_right", {1}, {32}, Arguments().add(x).add(y)));
  EXPECT_EQ(runner->read<int>(y, 2), (std::vector<int>{1, 0}));
  expect_finding(runner->run("neighbour_wrong", {1}, {32}, Arguments().add(x).add(y)), FindingKind::kSharedRace,
                 "read");
}

TEST_P(SeededBugs, MissingWaitForAsynchronousCopies) {
  const int stages = 5;
  const uint64_t x = runner->buffer(iota(stages * 512)), y = runner->unwritten<int>(128);
  const Arguments arguments = Arguments().add(x).add(y).add(stages);
  std::vector<int> expected(128);
  for (int t = 0; t < 128; ++t) {
    for (int s = 0; s < stages; ++s) {
      for (int k = 0; k < 4; ++k) expected[static_cast<size_t>(t)] += s * 512 + (127 - t) * 4 + k;
    }
  }
  for (const bool lazy : {true, false}) {
    runner->options.lazy_async_copies = lazy;
    expect_silence(runner->run("pipeline_right", {1}, {128}, arguments));
    EXPECT_EQ(runner->read<int>(y, 128), expected);
    expect_finding(runner->run("pipeline_no_wait", {1}, {128}, arguments), FindingKind::kAsyncCopyPending, "read");
    if (lazy) {
      EXPECT_NE(runner->read<int>(y, 128), expected);
    } else {
      EXPECT_EQ(runner->read<int>(y, 128), expected);  // the numbers are right: only the report tells
    }
  }
}

TEST_P(SeededBugs, BufferRefilledWhileOthersRead) {
  const int stages = 5;
  const uint64_t x = runner->buffer(iota(stages * 512)), y = runner->unwritten<int>(128);
  for (const bool lazy : {true, false}) {
    runner->options.lazy_async_copies = lazy;
    expect_finding(runner->run("pipeline_no_barrier", {1}, {128}, Arguments().add(x).add(y).add(stages)),
                   FindingKind::kSharedRace, "refill");
  }
}

TEST_P(SeededBugs, BarrierInDivergentBranches) {
  const uint64_t y = runner->buffer(std::vector<int>(64));
  expect_silence(runner->run("branches_right", {1}, {64}, Arguments().add(y)));
  const LaunchReport report = runner->run("branches_wrong", {1}, {64}, Arguments().add(y));
  // At the barrier that comes later in the PTX; the message names the other.
  const Finding f = expect_finding(report, FindingKind::kDivergentBarrier, "");
  const bool at_even = line_of(f).find("even") != std::string::npos;
  const std::string other = f.source + ":" + std::to_string(line_marked(f.source, at_even ? "odd" : "even")) + ":";
  EXPECT_NE(f.message.find(other), std::string::npos) << f.message;
}

TEST_P(SeededBugs, BarrierOfAHelperInDivergentBranches) {
  const uint64_t y = runner->buffer(std::vector<int>(64));
  expect_silence(runner->run("helper_right", {1}, {64}, Arguments().add(y)));
  EXPECT_EQ(runner->read<int>(y, 64), std::vector<int>(64, 8));
  const LaunchReport report = runner->run("helper_wrong", {1}, {64}, Arguments().add(y));
  const Finding f = expect_finding(report, FindingKind::kDivergentBarrier, "of the helper");
  EXPECT_NE(f.message.find("called at"), std::string::npos) << f.message;
}

TEST_P(SeededBugs, BlocksUpdateOneCell) {
  const uint64_t y = runner->buffer(std::vector<int>(1));
  expect_silence(runner->run("count_blocks_right", {64}, {32}, Arguments().add(y)));
  EXPECT_EQ(runner->read<int>(y, 1)[0], 64);
  expect_finding(runner->run("count_blocks_wrong", {64}, {32}, Arguments().add(y)), FindingKind::kGlobalRace,
                 "read-modify-write");
}

TEST_P(SeededBugs, LastBlockWithoutFence) {
  const int blocks = 40;
  for (const bool wrong : {false, true}) {
    const uint64_t x = runner->buffer(iota(4 * blocks)), p = runner->unwritten<int>(4 * blocks);
    const uint64_t ticket = runner->buffer(std::vector<int>(1)), y = runner->unwritten<int>(1);
    const Arguments arguments = Arguments().add(x).add(p).add(ticket).add(y);
    const LaunchReport report = runner->run(wrong ? "last_block_wrong" : "last_block_right", {blocks}, {64}, arguments);
    if (wrong) {
      expect_finding(report, FindingKind::kGlobalRace, "read of other blocks' parts");
    } else {
      expect_silence(report);
      EXPECT_EQ(runner->read<int>(y, 1)[0], 4 * blocks * (4 * blocks - 1) / 2);
    }
  }
}

TEST_P(SeededBugs, SpinLocksAreFairAndNeedFences) {
  const uint64_t lock = runner->buffer(std::vector<int>(1)), count = runner->buffer(std::vector<int>(1));
  expect_silence(runner->run("locked_right", {2}, {32}, Arguments().add(lock).add(count)));
  EXPECT_EQ(runner->read<int>(count, 1)[0], 64);
  expect_finding(runner->run("locked_wrong", {2}, {32}, Arguments().add(lock).add(count)), FindingKind::kGlobalRace,
                 "protected");
}

TEST_P(SeededBugs, ShuffleNamesLanesThatHaveGone) {
  const uint64_t x = runner->buffer(iota(32)), y = runner->buffer(std::vector<int>(32));
  expect_silence(runner->run("shuffle_right", {1}, {32}, Arguments().add(x).add(y)));
  EXPECT_EQ(runner->read<int>(y, 4), (std::vector<int>{1, 0, 3, 2}));
  const LaunchReport report = runner->run("shuffle_wrong", {1}, {32}, Arguments().add(x).add(y));
  expect_finding(report, FindingKind::kWarpSync, "members");
}

TEST_P(SeededBugs, NamedBarriers) {
  const int rounds = 6;
  const uint64_t x = runner->buffer(iota(64 * rounds)), y = runner->unwritten<int>(64 * rounds);
  const Arguments arguments = Arguments().add(x).add(y).add(rounds);
  expect_silence(runner->run("producer_right", {2}, {128}, arguments));
  std::vector<int> expected;
  for (int r = 0; r < rounds; ++r) {
    for (int t = 0; t < 64; ++t) expected.push_back(r * 64 + 63 - t);
  }
  EXPECT_EQ(runner->read<int>(y, 64 * rounds), expected);
  runner->options.num_threads = 1;
  expect_finding(runner->run("producer_wrong", {1}, {128}, arguments), FindingKind::kSharedRace, "refilled");
}

TEST_P(SeededBugs, ABarrierThatTooFewReach) {
  const uint64_t y = runner->buffer(std::vector<int>(64));
  expect_silence(runner->run("partner_right", {1}, {64}, Arguments().add(y)));
  const LaunchReport report = runner->run("partner_wrong", {1}, {64}, Arguments().add(y));
  expect_finding(report, FindingKind::kDeadlock, "alone", 719);
}

TEST_P(SeededBugs, EndlessLoops) {
  runner->options.max_instructions = 100'000;
  const uint64_t flag = runner->buffer(std::vector<int>(1));
  expect_silence(runner->run("endless_right", {1}, {32}, Arguments().add(flag)));
  const LaunchReport report = runner->run("endless_wrong", {1}, {32}, Arguments().add(flag));
  expect_finding(report, FindingKind::kTimeout, "nobody sets it", 702);
}

TEST_P(SeededBugs, UninitialisedMemory) {
  std::vector<int> indices(16);
  for (int i = 0; i < 16; ++i) indices[static_cast<size_t>(i)] = i % 8;
  const uint64_t x = runner->buffer(indices), y = runner->unwritten<int>(32);
  expect_silence(runner->run("local_right", {1}, {32}, Arguments().add(x).add(y)));
  expect_finding(runner->run("local_wrong", {1}, {32}, Arguments().add(x).add(y)), FindingKind::kUninitialisedRead,
                 "read of what nothing wrote");
  const uint64_t never = runner->unwritten<float>(64), z = runner->unwritten<float>(64);
  expect_finding(runner->run("scale_right", {1}, {64}, Arguments().add(never).add(z).add(64)),
                 FindingKind::kUninitialisedRead, "out of bounds");
}

TEST_P(SeededBugs, Misalignment) {
  const uint64_t x = runner->buffer(std::vector<float>(132, 1)), y = runner->unwritten<float>(128);
  expect_silence(runner->run("wide_right", {1}, {32}, Arguments().add(x).add(y)));
  expect_finding(runner->run("wide_wrong", {1}, {32}, Arguments().add(x).add(y)), FindingKind::kMisaligned, "alignment",
                 716);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SeededBugs, testing::Values(0, 1, 2));

TEST(Calls, FunctionsOfTheDevice) {
  NEEDS_COMPILED_KERNELS();
  KernelRunner runner(compiled_kernels("calls"));
  std::vector<int> numbers(64);
  std::iota(numbers.begin(), numbers.end(), 1);
  const uint64_t x = runner.buffer(numbers), y = runner.unwritten<int>(64), p = runner.buffer(std::vector<float>(128));
  const LaunchReport report = runner.run("call_functions", {2}, {32}, Arguments().add(x).add(y).add(p));
  EXPECT_TRUE(report.findings.empty()) << findings_of(report);
  const std::vector<int> steps = runner.read<int>(y, 64);
  EXPECT_EQ(steps[0], 0);
  EXPECT_EQ(steps[26], 111);  // 27
  EXPECT_EQ(steps[53], 112);  // 54
  EXPECT_EQ(runner.read<float>(p, 8), (std::vector<float>{0, 0, 0, 0, 0, 0, 1.5f, -3}));
}

TEST(Calls, Printf) {
  NEEDS_COMPILED_KERNELS();
  KernelRunner runner(compiled_kernels("calls"));
  const uint64_t x = runner.buffer(std::vector<int>{3, -5});
  const LaunchReport report = runner.run("print_values", {2}, {32}, Arguments().add(x));
  EXPECT_TRUE(report.findings.empty()) << findings_of(report);
  EXPECT_EQ(report.printed,
            "block 0 thread 0:  1.50 text 1099511627776\nblock 0 thread 1: -2.50 text 1099511627776\n"
            "block 1 thread 0:  1.50 text 1099511627776\nblock 1 thread 1: -2.50 text 1099511627776\n");
}

TEST(Calls, Assert) {
  NEEDS_COMPILED_KERNELS();
  KernelRunner runner(compiled_kernels("calls"));
  std::vector<int> numbers(32, 1);
  EXPECT_EQ(runner.run("assert_positive", {1}, {32}, Arguments().add(runner.buffer(numbers))).error, 0);
  numbers[7] = 0;
  const LaunchReport report = runner.run("assert_positive", {1}, {32}, Arguments().add(runner.buffer(numbers)));
  EXPECT_EQ(report.error, 710);
  ASSERT_FALSE(report.findings.empty());
  EXPECT_EQ(report.findings[0].kind, FindingKind::kAssertion);
  EXPECT_EQ(report.findings[0].thread.x, 7u);
  EXPECT_NE(report.findings[0].message.find("input[threadIdx.x] > 0"), std::string::npos) << report.findings[0].message;
}

}  // namespace
}  // namespace winnow::gpusim
