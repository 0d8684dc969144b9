// Blocks on several host threads find, count and compute what they do on one.
#include "kernel_runner.h"

namespace winnow::gpusim {
namespace {

// y[i] = x[i] + x[0]; count += 1, where i is the thread in the grid.
constexpr const char* kAddFirst = R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry add_first(.param .u64 x, .param .u64 y, .param .u64 count)
{
.reg .b64 %d<8>; .reg .b32 %r<8>;
ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y]; ld.param.u64 %d3, [count];
mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.s32 %r4, %r1, %r2, %r3;
mul.wide.u32 %d4, %r4, 4; add.s64 %d5, %d1, %d4; add.s64 %d6, %d2, %d4;
ld.global.u32 %r5, [%d5]; ld.global.u32 %r6, [%d1]; add.s32 %r7, %r5, %r6; st.global.u32 [%d6], %r7;
red.global.add.u32 [%d3], 1; ret;
}
)";

struct Outcome {
  std::string report;
  std::vector<int32_t> y;
  std::vector<int32_t> count;
};

Outcome run_on(int num_threads) {
  constexpr uint32_t kBlocks = 512,
                     kThreads = 32;  // 128 bytes of a block: eight of them share a page of what is remembered
  KernelRunner runner(kAddFirst);
  runner.options.num_threads = num_threads;
  runner.unwritten<uint8_t>(256);  // what follows begins in the middle of a page of addresses
  std::vector<int32_t> values(kBlocks * kThreads);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i * i);
  const uint64_t x = runner.buffer(values), y = runner.unwritten<int32_t>(values.size());
  const uint64_t count = runner.buffer(std::vector<int32_t>{0});
  const LaunchReport report = runner.run("add_first", {kBlocks}, {kThreads}, Arguments().add(x).add(y).add(count));
  return {to_json(report), runner.read<int32_t>(y, values.size()), runner.read<int32_t>(count, 1)};
}

TEST(HostThreads, ReportAndResultsAreThoseOfOne) {
  const Outcome one = run_on(1);
  EXPECT_NE(one.report.find("\"findings\":[]"), std::string::npos) << one.report;
  EXPECT_NE(one.report.find("\"distinct_store_bytes\":65536"), std::string::npos) << one.report;
  EXPECT_EQ(one.count[0], 512 * 32);
  EXPECT_EQ(one.y[3], 9);
  for (int i = 0; i < 20; ++i) {
    const Outcome several = run_on(8);
    ASSERT_EQ(several.report, one.report);
    ASSERT_EQ(several.y, one.y);
    ASSERT_EQ(several.count, one.count);
  }
}

// Of two blocks, the one that `waiting` names waits until the other has set the flag.
LaunchReport wait_for_a_block(int waiting, uint64_t seed) {
  KernelRunner runner(R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry wait_for(.param .u64 flag, .param .u32 waiting)
{
.reg .b64 %d; .reg .b32 %r<4>; .reg .pred %p<3>;
ld.param.u64 %d, [flag]; ld.param.u32 %r1, [waiting];
mov.u32 %r2, %ctaid.x; setp.eq.u32 %p1, %r1, %r2; @%p1 bra again;
st.release.gpu.global.u32 [%d], 1; ret;
again: ld.acquire.gpu.global.u32 %r3, [%d]; setp.eq.u32 %p2, %r3, 0; @%p2 bra again;
ret;
}
)");
  runner.options.num_threads = 1;
  runner.options.seed = seed;
  runner.options.max_instructions = 100'000;
  const uint64_t flag = runner.buffer(std::vector<int32_t>{0});
  return runner.run("wait_for", {2}, {32}, Arguments().add(flag).add(waiting));
}

TEST(HostThreads, ABlockThatWaitsForALaterOneHangsOnOneThread) {
  for (const auto& [waiting, seed] : {std::pair{0, 0}, std::pair{1, 1}}) {  // seed 1: block 1 comes first
    const LaunchReport report = wait_for_a_block(waiting, static_cast<uint64_t>(seed));
    EXPECT_EQ(report.error, 702);
    ASSERT_EQ(report.findings.size(), 1u) << findings_of(report);
    EXPECT_EQ(report.findings[0].kind, FindingKind::kTimeout);
    EXPECT_EQ(report.findings[0].block.x, static_cast<uint32_t>(waiting));
  }
  for (const auto& [waiting, seed] : {std::pair{1, 0}, std::pair{0, 1}}) {
    const LaunchReport report = wait_for_a_block(waiting, static_cast<uint64_t>(seed));
    EXPECT_EQ(report.error, 0) << findings_of(report);
    EXPECT_TRUE(report.findings.empty()) << findings_of(report);
  }
}

}  // namespace
}  // namespace winnow::gpusim
