// Instructions on 32 lanes with different values, each by hand: shuffles, votes, matches, reductions, barriers with a
// result, pack forms of mov, lop3. What is not supported is refused by name.
#include <algorithm>
#include <functional>

#include "body_runner.h"

namespace winnow::gpusim {
namespace {

// The source lane and whether it exists: the manual's pseudocode, per mode.
TEST(Warp, Shuffles) {
  for (const std::string mode : {"up", "down", "bfly", "idx"}) {
    for (const int b : {0, 1, 5, 16, 31, 33}) {
      for (const int c : {0x1F, 0x00, 0x181F, 0x0C1F, 0x1803, 0x1C00}) {
        const Executed run = run_body(
            "mul.lo.s32 %r0, %t, 3;\nmov.b32 %r2, 0;\nshfl.sync." + mode + ".b32 %r1|%p0, %r0, " + std::to_string(b) +
                ", " + std::to_string(c) +
                ", 0xffffffff;\nselp.b32 %r2, 1, 0, %p0;\nst.global.b32 [%y], %r1;\nst.global.b32 [%y+8], %r2;\n",
            {});
        for (int lane = 0; lane < 32; ++lane) {
          const int clamp = c & 31, segment = c >> 8 & 31, offset = b & 31;
          const int highest = (lane & segment) | (clamp & ~segment), lowest = lane & segment;
          int source = lane;
          bool inside = false;
          if (mode == "up") {
            source = lane - offset;
            inside = source >= highest;
          }
          if (mode == "down") {
            source = lane + offset;
            inside = source <= highest;
          }
          if (mode == "bfly") {
            source = lane ^ offset;
            inside = source <= highest;
          }
          if (mode == "idx") {
            source = lowest | (offset & ~segment);
            inside = source <= highest;
          }
          if (!inside) source = lane;
          ASSERT_EQ(run.at(lane), static_cast<uint64_t>(3 * source))
              << mode << " b " << b << " c " << c << " lane " << lane;
          ASSERT_EQ(run.at(lane, 1), inside) << mode << " b " << b << " c " << c << " lane " << lane;
        }
      }
    }
  }
}

TEST(Warp, VotesMatchesAndReductions) {
  std::vector<uint64_t> input(128);
  for (size_t lane = 0; lane < 32; ++lane) input[4 * lane] = lane % 5 == 0 ? 0xFFFFFFF0 + lane / 5 : lane % 3;
  Executed run = run_body(
      "ld.global.b32 %r0, [%x];\nsetp.gt.s32 %p0, %r0, 0;\nvote.sync.ballot.b32 %r1, %p0, "
      "0xffffffff;\nvote.sync.any.pred %p1, %p0, 0xffffffff;\n"
      "vote.sync.all.pred %p2, %p0, 0xffffffff;\nvote.sync.uni.pred %p3, %p0, 0xffffffff;\nvote.sync.all.pred %p4, "
      "!%p0, 0xffffffff;\n"
      "selp.b32 %r2, 1, 0, %p1;\nselp.b32 %r3, 2, 0, %p2;\nselp.b32 %r4, 4, 0, %p3;\nselp.b32 %r5, 8, 0, %p4;\n"
      "or.b32 %r2, %r2, %r3;\nor.b32 %r2, %r2, %r4;\nor.b32 %r2, %r2, %r5;\nst.global.b32 [%y], %r1;\nst.global.b32 "
      "[%y+8], %r2;\n"
      "match.any.sync.b32 %r6, %r0, 0xffffffff;\nst.global.b32 [%y+16], %r6;\ncvt.u64.u32 %w0, "
      "%r0;\nmatch.any.sync.b64 %r7, %w0, 0xffffffff;\n"
      "st.global.b32 [%y+24], %r7;\n",
      input);
  uint32_t ballot = 0;
  for (uint32_t lane = 0; lane < 32; ++lane)
    ballot |= static_cast<uint32_t>(static_cast<int32_t>(input[4 * lane]) > 0) << lane;
  for (int lane = 0; lane < 32; ++lane) {
    uint32_t same = 0;
    for (uint32_t other = 0; other < 32; ++other)
      same |= static_cast<uint32_t>(input[4 * other] == input[static_cast<size_t>(4 * lane)]) << other;
    EXPECT_EQ(run.at(lane), ballot);
    EXPECT_EQ(run.at(lane, 1), 1u);  // any, not all, not uniform
    EXPECT_EQ(run.at(lane, 2), same);
    EXPECT_EQ(run.at(lane, 3), same);
  }
  run = run_body(
      "mov.b32 %r0, 7;\nmatch.all.sync.b32 %r1|%p0, %r0, 0xffffffff;\nselp.b32 %r2, 1, 0, %p0;\nst.global.b32 [%y], "
      "%r1;\nst.global.b32 [%y+8], %r2;\n"
      "match.all.sync.b32 %r3|%p1, %t, 0xffffffff;\nselp.b32 %r4, 1, 0, %p1;\nst.global.b32 [%y+16], "
      "%r3;\nst.global.b32 [%y+24], %r4;\n",
      {});
  EXPECT_EQ(run.at(9), 0xFFFFFFFFu);
  EXPECT_EQ(run.at(9, 1), 1u);
  EXPECT_EQ(run.at(9, 2), 0u);
  EXPECT_EQ(run.at(9, 3), 0u);

  const struct {
    const char *op, *type;
    std::function<int64_t(int64_t, int64_t)> apply;
  } kReductions[] = {
      {"add", "u32", [](int64_t a, int64_t b) { return a + b; }},
      {"add", "s32", [](int64_t a, int64_t b) { return a + b; }},
      {"min", "u32",
       [](int64_t a, int64_t b) { return std::min<int64_t>(static_cast<uint32_t>(a), static_cast<uint32_t>(b)); }},
      {"max", "u32",
       [](int64_t a, int64_t b) { return std::max<int64_t>(static_cast<uint32_t>(a), static_cast<uint32_t>(b)); }},
      {"min", "s32",
       [](int64_t a, int64_t b) { return std::min<int64_t>(static_cast<int32_t>(a), static_cast<int32_t>(b)); }},
      {"max", "s32",
       [](int64_t a, int64_t b) { return std::max<int64_t>(static_cast<int32_t>(a), static_cast<int32_t>(b)); }},
      {"and", "b32", [](int64_t a, int64_t b) { return a & b; }},
      {"or", "b32", [](int64_t a, int64_t b) { return a | b; }},
      {"xor", "b32", [](int64_t a, int64_t b) { return a ^ b; }}};
  for (const auto& c : kReductions) {
    run = run_body(std::string("ld.global.b32 %r0, [%x];\nredux.sync.") + c.op + "." + c.type +
                       " %r1, %r0, 0xffffffff;\nst.global.b32 [%y], %r1;\n",
                   input);
    auto expected = static_cast<int64_t>(input[0]);
    for (size_t lane = 1; lane < 32; ++lane) expected = c.apply(expected, static_cast<int64_t>(input[4 * lane]));
    EXPECT_EQ(run.at(31), static_cast<uint32_t>(expected)) << c.op << " " << c.type;
  }
}

TEST(Control, BarriersThatReduceAndMasks) {
  const Executed run = run_body(
      "setp.lt.s32 %p0, %t, 11;\nbar.red.popc.u32 %r0, 0, %p0;\nbar.red.and.pred %p1, 0, %p0;\nbar.red.or.pred %p2, 0, "
      "%p0;\n"
      "selp.b32 %r1, 1, 0, %p1;\nselp.b32 %r2, 2, 0, %p2;\nor.b32 %r1, %r1, %r2;\nst.global.b32 [%y], "
      "%r0;\nst.global.b32 [%y+8], %r1;\n"
      "mov.b32 %r5, 0;\n@!%p0 bra done;\nactivemask.b32 %r5;\ndone:\nst.global.b32 [%y+16], %r5;\n"
      "mov.u32 %r6, %lanemask_lt;\nst.global.b32 [%y+24], %r6;\n",
      {});
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(run.at(lane), 11u);
    EXPECT_EQ(run.at(lane, 1), 2u);
    EXPECT_EQ(run.at(lane, 2), lane < 11 ? 0x7FFu : 0u);
    EXPECT_EQ(run.at(lane, 3), (uint64_t{1} << lane) - 1);
  }
}

TEST(Moves, PackUnpackPredicatesAndLogic) {
  std::vector<uint64_t> input(128);
  for (size_t lane = 0; lane < 32; ++lane) input[4 * lane] = 0x0123456789ABCDEF * (lane + 1);
  for (int table = 0; table < 256; ++table) {
    const Executed run =
        run_body("ld.global.v2.b32 {%r0,%r1}, [%x];\nshr.u32 %r2, %r0, 7;\nlop3.b32 %r3, %r0, %r1, %r2, " +
                     std::to_string(table) + ";\nst.global.b32 [%y], %r3;\n",
                 input);
    for (int lane = 0; lane < 32; ++lane) {
      const auto a = static_cast<uint32_t>(input[static_cast<size_t>(4 * lane)]),
                 b = static_cast<uint32_t>(input[static_cast<size_t>(4 * lane)] >> 32), c = a >> 7;
      uint32_t expected = 0;
      for (int i = 0; i < 32; ++i)
        expected |= static_cast<uint32_t>(table >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1) << i;
      ASSERT_EQ(run.at(lane), expected) << "lop3 " << table;
    }
  }
  const Executed run = run_body(
      "ld.global.b64 %w0, [%x];\nmov.b64 {%r0,%r1}, %w0;\nmov.b64 %w1, {%r1,%r0};\nst.global.b64 [%y], %w1;\nmov.b32 "
      "{%h0,%h1}, %r0;\nmov.b32 %r2, {%h1,%h0};\n"
      "st.global.b32 [%y+8], %r2;\nsetp.lt.u32 %p0, %t, 16;\nsetp.ge.u32 %p1, %t, 8;\nand.pred %p2, %p0, %p1;\nor.pred "
      "%p3, %p0, %p1;\nxor.pred %p4, %p0, %p1;\nnot.pred %p5, %p0;\n"
      "mov.pred %p6, %p2;\nselp.b32 %r3, 1, 0, %p6;\nselp.b32 %r4, 2, 0, %p3;\nselp.b32 %r5, 4, 0, %p4;\nselp.b32 %r6, "
      "8, 0, %p5;\nadd.s32 %r3, %r3, %r4;\nadd.s32 %r3, %r3, %r5;\n"
      "add.s32 %r3, %r3, %r6;\nst.global.b32 [%y+16], %r3;\n",
      input);
  for (int lane = 0; lane < 32; ++lane) {
    const uint64_t v = input[static_cast<size_t>(4 * lane)];
    EXPECT_EQ(run.at(lane), v << 32 | v >> 32);
    EXPECT_EQ(run.at(lane, 1), (v & 0xFFFF) << 16 | (v >> 16 & 0xFFFF));
    const bool a = lane < 16, b = lane >= 8;
    EXPECT_EQ(run.at(lane, 2), (a && b ? 1u : 0u) + (a || b ? 2u : 0u) + (a != b ? 4u : 0u) + (!a ? 8u : 0u));
  }
}

TEST(Strictness, WhatIsNotSupportedIsNamed) {
  const struct {
    const char *body, *what;
  } kCases[] = {{"cvt.rn.f16x2.e4m3x2 %r0, %h0;\n", "cvt.rn.f16x2.e4m3x2"},
                {"add.sat.u32 %r0, %r1, %r2;\n", "add.sat.u32"},
                {"frobnicate.b32 %r0, %r1;\n", "frobnicate.b32"},
                {"mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%f0,%f1,%f2,%f3}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, "
                 "{%f0,%f1,%f2,%f3};\n",
                 "mma.sync"},
                {"add.s32 %r0, %r1;\n", "add.s32"},
                {"add.s32 %r0, %r1, %w2;\n", "add.s32"}};
  for (const auto& c : kCases) {
    Memory memory;
    const std::string text =
        std::string(kHead) +
        ".visible .entry k()\n{\n.reg .b32 %r<8>;\n.reg .b64 %w<8>;\n.reg .b16 %h<8>;\n.reg .f32 %f<8>;\n" + c.body +
        "ret;\n}\n";
    try {
      Module::load(text, memory);
      ADD_FAILURE() << "accepted " << c.body;
    } catch (const PtxError& e) {
      EXPECT_EQ(e.line(), 10) << e.what();
      EXPECT_NE(std::string(e.what()).find(c.what), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace winnow::gpusim
