// Instructions that touch memory or other lanes, each on 32 lanes with different values: loads and stores of every type
// and width, atomics, shuffles, votes, matches, reductions, barriers with a result, select and pack forms of mov, lop3.
#include <algorithm>
#include <cmath>
#include <functional>

#include "body_runner.h"

namespace winnow::gpusim {
namespace {

uint64_t extended(uint64_t bits, int width, bool negative_extends) {
  if (width == 64) return bits;
  bits &= (uint64_t{1} << width) - 1;
  return negative_extends && (bits >> (width - 1)) != 0 ? bits | ~uint64_t{0} << width : bits;
}

TEST(Loads, EveryTypeVectorAndSpace) {
  const std::vector<uint64_t> input = pattern();
  const char* opcodes[] = {"ld.global",
                           "ld",
                           "ld.shared",
                           "ld.local",
                           "ld.volatile.global",
                           "ld.volatile.shared",
                           "ld.global.nc",
                           "ld.global.cg",
                           "ld.global.L1::no_allocate",
                           "ld.relaxed.gpu.global",
                           "ld.acquire.gpu.global",
                           "ld.relaxed.cta.shared",
                           "ldu.global"};
  for (const std::string opcode : opcodes) {
    const bool shared = opcode.find("shared") != std::string::npos, local = opcode.find("local") != std::string::npos;
    for (const std::string type :
         {"b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "b64", "u64", "s64", "f32", "f64"}) {
      for (const int count : {1, 2, 4}) {
        const int width = std::stoi(type.substr(1));
        if (width * count > 128) continue;
        // Into 64-bit registers, which integers extend to; floats need their own width.
        const std::string reg = type == "f32" ? "%f" : type == "f64" ? "%e" : "%w";
        std::string body, list;
        std::string address = "%x";
        if (shared || local) {
          body += "mov.u32 %r0, memory;\nmad.lo.s32 %r0, %t, " + std::string(shared ? "32" : "0") + ", %r0;\n";
          for (int i = 0; i < 4; ++i) {
            const std::string at = std::to_string(8 * i);
            body += "ld.global.b64 %w15, [%x+" + at + "];\nst." + (shared ? "shared" : "local") + ".b64 [%r0+" + at +
                    "], %w15;\n";
          }
          address = "%r0";
        }
        for (int i = 0; i < count; ++i) list += (i > 0 ? "," : "") + reg + std::to_string(i);
        body += opcode + (count > 1 ? ".v" + std::to_string(count) : "") + "." + type + " " +
                (count > 1 ? "{" + list + "}" : list) + ", [" + address + "];\n";
        for (int i = 0; i < count; ++i) {
          body += "st.global." +
                  (reg == "%f"   ? std::string("f32")
                   : reg == "%e" ? "f64"
                                 : "b64") +
                  " [%y+" + std::to_string(8 * i) + "], " + reg + std::to_string(i) + ";\n";
        }
        const Executed run = run_body(body, input,
                                      shared  ? ".shared .align 16 .b8 memory[1024];\n"
                                      : local ? ".local .align 16 .b8 memory[32];\n"
                                              : "");
        for (int lane = 0; lane < 32; ++lane) {
          for (int i = 0; i < count; ++i) {
            uint64_t bits = 0;
            std::memcpy(&bits, reinterpret_cast<const uint8_t*>(&input[static_cast<size_t>(4 * lane)]) + i * width / 8,
                        static_cast<size_t>(width / 8));
            ASSERT_EQ(run.at(lane, i), extended(bits, width, type[0] == 's'))
                << opcode << " " << type << " x" << count << " lane " << lane;
          }
        }
      }
    }
  }
}

TEST(Stores, EveryTypeVectorAndSpace) {
  const std::vector<uint64_t> input = pattern();
  for (const std::string space : {".global", "", ".shared", ".local", ".volatile.global", ".volatile.shared",
                                  ".global.wt", ".release.gpu.global", ".relaxed.cta.shared"}) {
    const bool shared = space.find("shared") != std::string::npos, local = space.find("local") != std::string::npos;
    for (const std::string type :
         {"b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "b64", "u64", "s64", "f32", "f64"}) {
      for (const int count : {1, 2, 4}) {
        const int width = std::stoi(type.substr(1)), bytes = width * count / 8;
        if (bytes > 16) continue;
        const std::string reg = type == "f32" ? "%f" : type == "f64" ? "%e" : "%w";
        std::string body, list, address = "%y";
        for (int i = 0; i < count; ++i) {
          body += "ld.global." + (reg == "%w" ? std::string("b64") : type) + " " + reg + std::to_string(i) + ", [%x+" +
                  std::to_string(8 * i) + "];\n";
          list += (i > 0 ? "," : "") + reg + std::to_string(i);
        }
        if (shared || local) {
          body += "mov.u32 %r0, memory;\nmad.lo.s32 %r0, %t, " + std::string(shared ? "32" : "0") + ", %r0;\n";
          address = "%r0";
        }
        body += "st" + space + (count > 1 ? ".v" + std::to_string(count) : "") + "." + type + " [" + address + "], " +
                (count > 1 ? "{" + list + "}" : list) + ";\n";
        if (shared || local) {
          for (int i = 0; i < bytes; ++i) {
            const std::string at = std::to_string(i);
            body += std::string("ld.") + (shared ? "shared" : "local") + ".u8 %r1, [%r0+" + at +
                    "];\nst.global.u8 [%y+" + at + "], %r1;\n";
          }
        }
        const Executed run = run_body(body, input,
                                      shared  ? ".shared .align 16 .b8 memory[1024];\n"
                                      : local ? ".local .align 16 .b8 memory[32];\n"
                                              : "");
        for (int lane = 0; lane < 32; ++lane) {
          uint8_t expected[32] = {};
          for (int i = 0; i < count; ++i)
            std::memcpy(expected + i * width / 8, &input[static_cast<size_t>(4 * lane + i)],
                        static_cast<size_t>(width / 8));
          ASSERT_EQ(std::memcmp(&run.output[static_cast<size_t>(32 * lane)], expected, 32), 0)
              << "st" << space << " " << type << " x" << count << " lane " << lane;
        }
      }
    }
  }
}

// All lanes update one cell: the sum of effects is known whatever the order; old values are a permutation of the
// partial results.
TEST(Atomics, OneCellForAllLanes) {
  const std::vector<uint64_t> input = pattern();
  const struct {
    std::string op, type, reg;
    uint64_t start;
    std::function<uint64_t(uint64_t, uint64_t)> apply;
    bool has_red = true;
  } kCases[] = {
      {"add", "u32", "%r", 5, [](uint64_t a, uint64_t b) { return uint64_t{static_cast<uint32_t>(a + b)}; }},
      {"add", "s32", "%r", 5, [](uint64_t a, uint64_t b) { return uint64_t{static_cast<uint32_t>(a + b)}; }},
      {"add", "u64", "%w", 5, [](uint64_t a, uint64_t b) { return a + b; }},
      {"min", "u32", "%r", ~0u, [](uint64_t a, uint64_t b) { return std::min<uint64_t>(a, static_cast<uint32_t>(b)); }},
      {"max", "u32", "%r", 0, [](uint64_t a, uint64_t b) { return std::max<uint64_t>(a, static_cast<uint32_t>(b)); }},
      {"min", "s32", "%r", 7,
       [](uint64_t a, uint64_t b) {
         return uint64_t{static_cast<uint32_t>(std::min(static_cast<int32_t>(a), static_cast<int32_t>(b)))};
       }},
      {"max", "s32", "%r", 7,
       [](uint64_t a, uint64_t b) {
         return uint64_t{static_cast<uint32_t>(std::max(static_cast<int32_t>(a), static_cast<int32_t>(b)))};
       }},
      {"min", "u64", "%w", ~uint64_t{0}, [](uint64_t a, uint64_t b) { return std::min(a, b); }},
      {"max", "u64", "%w", 0, [](uint64_t a, uint64_t b) { return std::max(a, b); }},
      {"min", "s64", "%w", 7,
       [](uint64_t a, uint64_t b) {
         return static_cast<uint64_t>(std::min(static_cast<int64_t>(a), static_cast<int64_t>(b)));
       }},
      {"max", "s64", "%w", 7,
       [](uint64_t a, uint64_t b) {
         return static_cast<uint64_t>(std::max(static_cast<int64_t>(a), static_cast<int64_t>(b)));
       }},
      {"and", "b32", "%r", ~0u, [](uint64_t a, uint64_t b) { return a & static_cast<uint32_t>(b); }},
      {"or", "b32", "%r", 0, [](uint64_t a, uint64_t b) { return a | static_cast<uint32_t>(b); }},
      {"xor", "b32", "%r", 9, [](uint64_t a, uint64_t b) { return a ^ static_cast<uint32_t>(b); }},
      {"and", "b64", "%w", ~uint64_t{0}, [](uint64_t a, uint64_t b) { return a & b; }},
      {"or", "b64", "%w", 0, [](uint64_t a, uint64_t b) { return a | b; }},
      {"xor", "b64", "%w", 9, [](uint64_t a, uint64_t b) { return a ^ b; }},
      {"inc", "u32", "%r", 0xFFFFFFF0,
       [](uint64_t a, uint64_t b) { return a >= static_cast<uint32_t>(b) ? 0 : a + 1; }},
      {"dec", "u32", "%r", 3,
       [](uint64_t a, uint64_t b) {
         return a == 0 || a > static_cast<uint32_t>(b) ? static_cast<uint32_t>(b) : a - 1;
       }},
  };
  for (const auto& c : kCases) {
    for (const std::string space : {"global", "shared", ""}) {
      for (const bool red : {false, true}) {
        const std::string bits = c.reg == "%r" ? "b32" : "b64", dot_space = space.empty() ? "" : "." + space;
        const bool same = c.op == "inc" || c.op == "dec";  // order does not matter when all bring the same
        const std::string cell = space == "shared" ? "%r9" : "%z";
        std::string body = "ld.global." + bits + " " + c.reg + "1, [%x];\n";
        if (same) body += "mov.b32 %r1, 100;\n";
        if (space == "shared") body += "mov.u32 %r9, cell;\n";
        // One lane sets the start, all wait.
        body += "setp.eq.s32 %p0, %t, 0;\nmov." + bits + " " + c.reg + "2, " + std::to_string(c.start) + ";\n@%p0 st" +
                dot_space + "." + bits + " [" + cell + "], " + c.reg + "2;\nbar.sync 0;\n";
        body +=
            red ? "red" + dot_space + "." + c.op + "." + c.type + " [" + cell + "], " + c.reg + "1;\n"
                : "atom" + dot_space + "." + c.op + "." + c.type + " " + c.reg + "3, [" + cell + "], " + c.reg + "1;\n";
        body += "bar.sync 0;\nld" + dot_space + "." + bits + " " + c.reg + "4, [" + cell + "];\nst.global." + bits +
                " [%y], " + c.reg + "4;\n";
        if (!red) body += "st.global." + bits + " [%y+8], " + c.reg + "3;\n";
        const Executed run = run_body(body, input, space == "shared" ? ".shared .align 8 .b8 cell[8];\n" : "");
        uint64_t value = c.start;
        for (size_t lane = 0; lane < 32; ++lane) value = c.apply(value, same ? 100 : input[4 * lane]);
        for (int lane = 0; lane < 32; ++lane)
          ASSERT_EQ(run.at(lane), value) << (red ? "red " : "atom ") << c.op << " " << c.type << " " << space;
        if (red || !(c.op == "add" || c.op == "xor")) continue;
        // Each old value, with its lane's operand applied, is another lane's old value or the final one.
        std::vector<uint64_t> olds, news;
        for (int lane = 0; lane < 32; ++lane) {
          olds.push_back(run.at(lane, 1));
          news.push_back(c.apply(run.at(lane, 1), input[static_cast<size_t>(4 * lane)]));
        }
        olds.push_back(value);
        news.push_back(c.start);
        std::sort(olds.begin(), olds.end());
        std::sort(news.begin(), news.end());
        EXPECT_EQ(olds, news) << c.op << " " << c.type;
      }
    }
  }
}

TEST(Atomics, FloatingPointExchangeAndCompare) {
  std::vector<uint64_t> input(128);
  for (size_t lane = 0; lane < 32; ++lane) {
    const float f = static_cast<float>(lane);
    const double d = static_cast<double>(lane);
    std::memcpy(&input[4 * lane], &f, 4);
    std::memcpy(&input[4 * lane + 1], &d, 8);
  }
  Executed run = run_body(
      "ld.global.f32 %f0, [%x];\natom.global.add.f32 %f1, [%z], %f0;\nld.global.f64 %e0, [%x+8];\natom.global.add.f64 "
      "%e1, [%z+8], %e0;\n"
      "mov.b32 %r0, 0x3C003C00;\natom.global.add.noftz.f16x2 %r1, [%z+16], %r0;\nred.global.add.f32 [%z+20], "
      "%f0;\nred.global.add.f64 [%z+24], %e0;\n",
      input);
  float f;
  double d;
  uint32_t pair;
  std::memcpy(&f, &run.common[0], 4);
  std::memcpy(&d, &run.common[8], 8);
  std::memcpy(&pair, &run.common[16], 4);
  EXPECT_EQ(f, 496.0f);
  EXPECT_EQ(d, 496.0);
  EXPECT_EQ(pair, 0x50005000u);  // 32 in both halves
  std::memcpy(&f, &run.common[20], 4);
  std::memcpy(&d, &run.common[24], 8);
  EXPECT_EQ(f, 496.0f);
  EXPECT_EQ(d, 496.0);

  // exch hands one value from lane to lane: all old values and the last one are 0, 1 .. 32. cas: exactly one lane finds
  // 0.
  run = run_body(
      "add.s32 %r0, %t, 1;\natom.global.exch.b32 %r1, [%z], %r0;\nst.global.b32 [%y], %r1;\n"
      "atom.global.cas.b32 %r2, [%z+8], 0, %r0;\nst.global.b32 [%y+8], %r2;\n"
      "cvt.u64.u32 %w0, %r0;\natom.global.exch.b64 %w1, [%z+16], %w0;\natom.global.cas.b64 %w2, [%z+24], 0, "
      "%w0;\nst.global.b64 [%y+16], %w2;\n",
      input);
  std::vector<uint64_t> seen{run.common[0]};
  int winners = 0, winners64 = 0;
  for (int lane = 0; lane < 32; ++lane) {
    seen.push_back(run.at(lane));
    winners += run.at(lane, 1) == 0;
    winners64 += run.at(lane, 2) == 0;
  }
  std::sort(seen.begin(), seen.end());
  for (uint64_t i = 0; i <= 32; ++i) EXPECT_EQ(seen[i], i);
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(winners64, 1);
}

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
