// shfl, vote, match and redux of a part of a warp, or of several parts at once, each with a member mask of its own.
#include <algorithm>
#include <functional>

#include "body_runner.h"

namespace winnow::gpusim {
namespace {

// What the members of a lane's mask bring, in ascending order of lanes.
struct Members {
  std::vector<uint32_t> lanes, values;
  uint32_t own, mask;  // the lane's value and mask
  std::vector<bool> votes() const {
    std::vector<bool> all;
    for (const uint32_t value : values) all.push_back(value % 3 == 0);
    return all;
  }
  uint32_t mask_of(const std::function<bool(uint32_t)>& accept) const {
    uint32_t bits = 0;
    for (size_t i = 0; i < lanes.size(); ++i) bits |= static_cast<uint32_t>(accept(values[i])) << lanes[i];
    return bits;
  }
  int64_t fold(const std::function<int64_t(int64_t, int64_t)>& apply, bool is_signed) const {
    const auto value = [&](size_t i) {
      return is_signed ? int64_t{static_cast<int32_t>(values[i])} : int64_t{values[i]};
    };
    int64_t result = value(0);
    for (size_t i = 1; i < values.size(); ++i) result = apply(result, value(i));
    return result;
  }
  bool all_same() const { return std::count(values.begin(), values.end(), own) == static_cast<int64_t>(values.size()); }
};

struct Operation {
  std::string text;  // from %r0, or %w0; votes whether it is a multiple of 3: %p0. To %r1.
  std::function<int64_t(const Members&)> expected;
};

std::vector<Operation> operations() {
  const std::string to_integer = "selp.b32 %r1, 1, 0, %p1;\n";
  const auto yes = [](const Members& m) {
    const std::vector<bool> votes = m.votes();
    return std::count(votes.begin(), votes.end(), true);
  };
  const auto size = [](const Members& m) { return static_cast<int64_t>(m.lanes.size()); };
  std::vector<Operation> list = {
      {"vote.sync.ballot.b32 %r1, %p0, %r15;\n",
       [](const Members& m) { return m.mask_of([](uint32_t value) { return value % 3 == 0; }); }},
      {"vote.sync.any.pred %p1, %p0, %r15;\n" + to_integer, [=](const Members& m) { return yes(m) > 0; }},
      {"vote.sync.all.pred %p1, %p0, %r15;\n" + to_integer, [=](const Members& m) { return yes(m) == size(m); }},
      {"vote.sync.all.pred %p1, !%p0, %r15;\n" + to_integer, [=](const Members& m) { return yes(m) == 0; }},
      {"vote.sync.uni.pred %p1, %p0, %r15;\n" + to_integer,
       [=](const Members& m) { return yes(m) == 0 || yes(m) == size(m); }},
      {"match.any.sync.b32 %r1, %r0, %r15;\n",
       [](const Members& m) { return m.mask_of([&](uint32_t value) { return value == m.own; }); }},
      {"match.any.sync.b64 %r1, %w0, %r15;\n",
       [](const Members& m) { return m.mask_of([&](uint32_t value) { return value == m.own; }); }},
      {"match.all.sync.b32 %r1, %r0, %r15;\n", [](const Members& m) { return m.all_same() ? m.mask : 0; }},
      {"match.all.sync.b64 %r1|%p1, %w0, %r15;\n" + to_integer, [](const Members& m) { return m.all_same(); }},
      // Every lane reads the last member's value.
      {"shfl.sync.idx.b32 %r1, %r0, %r14, 31, %r15;\n", [](const Members& m) { return m.values.back(); }},
  };
  const std::pair<const char*, std::function<int64_t(int64_t, int64_t)>> reductions[] = {
      {"add.u32", std::plus<int64_t>()},
      {"add.s32", std::plus<int64_t>()},
      {"min.u32", [](int64_t a, int64_t b) { return std::min(a, b); }},
      {"min.s32", [](int64_t a, int64_t b) { return std::min(a, b); }},
      {"max.u32", [](int64_t a, int64_t b) { return std::max(a, b); }},
      {"max.s32", [](int64_t a, int64_t b) { return std::max(a, b); }},
      {"and.b32", std::bit_and<int64_t>()},
      {"or.b32", std::bit_or<int64_t>()},
      {"xor.b32", std::bit_xor<int64_t>()}};
  for (const auto& [op, apply] : reductions) {
    const bool is_signed = std::string(op).find("s32") != std::string::npos;
    list.push_back({std::string("redux.sync.") + op + " %r1, %r0, %r15;\n",
                    [apply = apply, is_signed](const Members& m) { return m.fold(apply, is_signed); }});
  }
  return list;
}

// The mask of each lane, 0 for one that does not take part.
using Masks = std::function<uint32_t(int lane)>;

// `before` and `after` bring the lanes to the operation and together again.
void expect_operations(const Masks& masks, const std::string& before, const std::string& after, bool twice = false) {
  std::vector<uint64_t> input(128);
  for (int lane = 0; lane < 32; ++lane) {
    const uint32_t mask = masks(lane);
    uint64_t* of_lane = &input[static_cast<size_t>(4 * lane)];
    of_lane[0] = lane < 16 ? 0xFFFFFFF0u + static_cast<uint32_t>(lane % 5) : 7;
    of_lane[1] = mask;
    of_lane[2] = mask == 0 ? 0 : 31 - static_cast<uint64_t>(__builtin_clz(mask));
  }
  for (const Operation& operation : operations()) {
    const Executed run = run_body(
        "ld.global.b32 %r0, [%x];\nld.global.b32 %r15, [%x+8];\nld.global.b32 %r14, [%x+16];\ncvt.u64.u32 %w0, %r0;\n"
        "rem.u32 %r2, %r0, 3;\nsetp.eq.u32 %p0, %r2, 0;\nsetp.lt.u32 %p2, %t, 16;\nmov.b32 %r1, 0;\n" +
            before + operation.text + (twice ? after + operation.text : after) + "end:\nst.global.b32 [%y], %r1;\n",
        input);
    for (int lane = 0; lane < 32; ++lane) {
      const uint32_t mask = masks(lane);
      int64_t expected = 0;
      if (mask != 0) {
        Members members{{}, {}, static_cast<uint32_t>(input[static_cast<size_t>(4 * lane)]), mask};
        for (uint32_t other = 0; other < 32; ++other) {
          if ((mask >> other & 1) == 0) continue;
          members.lanes.push_back(other);
          members.values.push_back(static_cast<uint32_t>(input[4 * other]));
        }
        expected = operation.expected(members);
      }
      ASSERT_EQ(run.at(lane), static_cast<uint32_t>(expected)) << operation.text << " lane " << lane;
    }
  }
}

uint32_t half_of(int lane) { return lane < 16 ? 0x0000FFFF : 0xFFFF0000; }

TEST(WarpMasks, TheWholeWarp) {
  expect_operations([](int) { return 0xFFFFFFFF; }, "", "");
}

TEST(WarpMasks, HalvesSideBySide) { expect_operations(half_of, "", ""); }

TEST(WarpMasks, HalvesOneAfterTheOther) {  // at one instruction
  expect_operations(half_of,
                    "@%p2 bra low;\nmov.b32 %r3, 0;\nspin: add.u32 %r3, %r3, 1;\nsetp.lt.u32 %p3, %r3, 200;\n"
                    "@%p3 bra spin;\nlow:\n",
                    "");
}

TEST(WarpMasks, HalvesInTwoBranches) { expect_operations(half_of, "@%p2 bra low;\n", "bra end;\nlow:\n", true); }

TEST(WarpMasks, EveryOtherLane) {
  expect_operations([](int lane) { return lane % 2 != 0 ? 0xAAAAAAAA : 0; },
                    "setp.eq.u32 %p3, %r15, 0;\n@%p3 bra end;\n", "");
}

TEST(WarpMasks, EachLaneForItself) {
  expect_operations([](int lane) { return 1u << lane; }, "", "");
}

// The lane is in the warp and executes the instruction, but for others.
TEST(WarpMasks, AShuffleFromOutsideTheMaskIsReported) {
  const std::string head = "setp.lt.u32 %p0, %t, 16;\nselp.b32 %r15, 0xFFFF, 0xFFFF0000, %p0;\n";
  run_body(head + "shfl.sync.bfly.b32 %r1, %t, 8, 31, %r15;\n", {});
  const Executed run = execute_body(head + "shfl.sync.bfly.b32 %r1, %t, 16, 31, %r15;\n", {});
  ASSERT_EQ(run.report.findings.size(), 1u) << findings_of(run.report);
  EXPECT_EQ(run.report.findings[0].kind, FindingKind::kWarpSync);
}

}  // namespace
}  // namespace winnow::gpusim
