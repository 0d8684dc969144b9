// Barriers, ends of threads, hints and addresses of every space, in every spelling.
#include "body_runner.h"
#include "spelling.h"

namespace winnow::gpusim {
namespace {

// The spellings that begin with the word and hold the other.
std::vector<std::string> spelt(const Forms& forms, const std::string& word, const std::string& part = "") {
  std::vector<std::string> list;
  for (const std::string& opcode : spellings(forms)) {
    const size_t end = opcode.find('.');
    if (opcode.substr(0, end) == word && opcode.find(part) != std::string::npos) list.push_back(opcode);
  }
  return list;
}
std::vector<std::string> barriers(const std::string& part) {
  std::vector<std::string> list = spelt(control_forms(), "bar", part);
  for (const std::string& opcode : spelt(control_forms(), "barrier", part)) list.push_back(opcode);
  return list;
}

// Four warps; each thread's word of output, which the body leaves in %r0. `words` is shared, 4 bytes per thread, its
// own at %r1.
struct Words {
  LaunchReport report;
  std::vector<uint32_t> values;
};
Words run_warps(const std::string& body, uint64_t seed) {
  KernelRunner runner(std::string(kHead) +
                      ".visible .entry body(.param .u64 p0)\n{\n.shared .align 4 .b8 words[512];\n.reg .b32 %t, "
                      "%r<8>; .reg .b64 %y, %o; .reg .pred %p<8>;\nmov.u32 %t, %tid.x; ld.param.u64 %y, [p0];\n"
                      "mul.wide.u32 %o, %t, 4; add.s64 %y, %y, %o; mov.u32 %r1, words; mad.lo.u32 %r1, %t, 4, %r1;\n" +
                      body + "st.global.u32 [%y], %r0;\nret;\n}\n");
  runner.options.seed = seed;
  const uint64_t y = runner.buffer(std::vector<uint32_t>(128));
  Words run;
  run.report = runner.run("body", {1}, {128}, Arguments().add(y));
  run.values = runner.read<uint32_t>(y, 128);
  EXPECT_EQ(findings_of(run.report), "") << body;
  return run;
}

TEST(Barriers, EverySpellingOrdersWarps) {
  const std::vector<std::string> opcodes = barriers(".sync");
  EXPECT_EQ(opcodes.size(), 2u + 4 + 1);  // one is bar.warp.sync
  for (const std::string& opcode : opcodes) {
    if (opcode == "bar.warp.sync") continue;
    for (const std::string operands : {" 0;\n", " 3;\n", " 5, 128;\n"}) {
      for (const uint64_t seed : {0, 1, 2}) {
        const Words run = run_warps("st.shared.u32 [%r1], %t;\n" + opcode + operands +
                                        "mov.u32 %r2, words; sub.u32 %r3, 127, %t; mad.lo.u32 %r2, %r3, 4, %r2;\n"
                                        "ld.shared.u32 %r0, [%r2];\n",
                                    seed);
        for (uint32_t t = 0; t < 128; ++t) ASSERT_EQ(run.values[t], 127 - t) << opcode << operands;
      }
    }
  }
}

TEST(Barriers, EverySpellingOfArriving) {
  const std::vector<std::string> opcodes = barriers(".arrive");
  EXPECT_EQ(opcodes.size(), 2u + 4);
  for (const std::string& opcode : opcodes) {
    for (const uint64_t seed : {0, 1, 2}) {  // the upper half reads what the lower half wrote
      const Words run =
          run_warps("mov.u32 %r0, 0; setp.ge.u32 %p1, %t, 64; @%p1 bra read;\nst.shared.u32 [%r1], %t;\n" + opcode +
                        " 1, 128;\nbra end;\nread: bar.sync 1, 128;\n"
                        "ld.shared.u32 %r0, [%r1+-256];\nend:\n",
                    seed);
      for (uint32_t t = 0; t < 128; ++t) ASSERT_EQ(run.values[t], t < 64 ? 0 : t - 64) << opcode;
    }
  }
}

TEST(Barriers, EverySpellingThatReduces) {
  const std::vector<std::string> opcodes = barriers(".red");
  EXPECT_EQ(opcodes.size(), 2u * 3 + 4 * 3);
  for (const std::string& opcode : opcodes) {
    const bool counts = opcode.find(".popc") != std::string::npos, all = opcode.find(".and") != std::string::npos;
    for (const std::string& barrier : {std::string(" 0, "), std::string(" 2, 128, ")}) {
      for (const uint32_t votes : {0u, 1u, 77u, 128u}) {
        const Words run =
            run_warps("setp.lt.u32 %p1, %t, " + std::to_string(votes) + ";\n" + opcode + (counts ? " %r0," : " %p2,") +
                          barrier + "%p1;\n" + (counts ? "" : "selp.b32 %r0, 1, 0, %p2;\n"),
                      1);
        const uint32_t expected = counts ? votes : all ? votes == 128 : votes > 0;
        for (uint32_t t = 0; t < 128; ++t) ASSERT_EQ(run.values[t], expected) << opcode << barrier << votes;
      }
    }
  }
}

TEST(Control, ThreadsThatEndDoNoMore) {
  for (const std::string opcode : {"exit", "ret", "ret.uni"}) {
    const Executed run = run_body("mov.b32 %r0, 5;\nst.global.b32 [%y], %r0;\nsetp.lt.u32 %p0, %t, 9;\n@%p0 " + opcode +
                                      ";\nst.global.b32 [%y+8], %r0;\n",
                                  {});
    for (int lane = 0; lane < 32; ++lane) {
      EXPECT_EQ(run.at(lane), 5u) << opcode;
      EXPECT_EQ(run.at(lane, 1), lane < 9 ? 0u : 5u) << opcode;
    }
  }
}

TEST(Control, ATrapEndsTheLaunch) {
  EXPECT_EQ(run_body("setp.gt.u32 %p0, %t, 40;\n@%p0 trap;\n", {}).report.error, 0);
  const Executed run = execute_body("setp.gt.u32 %p0, %t, 6;\n@%p0 trap;\n", {});
  EXPECT_EQ(run.report.error, 719);
  ASSERT_EQ(run.report.findings.size(), 1u);
  EXPECT_EQ(run.report.findings[0].kind, FindingKind::kIllegalInstruction);
  EXPECT_EQ(run.report.findings[0].thread.x, 7u);
}

TEST(Control, HintsChangeNothing) {
  std::vector<std::string> hints = {"nanosleep.u32 100", "nanosleep.u32 %t"};
  for (const std::string& opcode : spelt(memory_forms(), "prefetch"))
    hints.push_back(opcode + (opcode.find(".local") != std::string::npos ? " [place]" : " [%y]"));
  for (const std::string& opcode : spelt(memory_forms(), "prefetchu")) hints.push_back(opcode + " [%y]");
  EXPECT_EQ(hints.size(), 2u + 6 + 2 + 1);
  for (const std::string& hint : hints) {
    const Executed run = run_body("add.u32 %r0, %t, 3;\n" + hint + ";\nst.global.b32 [%y], %r0;\n", {},
                                  ".local .align 16 .b8 place[16];\n");
    for (int lane = 0; lane < 32; ++lane) ASSERT_EQ(run.at(lane), static_cast<uint64_t>(lane + 3)) << hint;
    EXPECT_EQ(run.report.counters.global_load_requests, 0u) << hint;
  }
}

// A place in each space, made generic by cvta: isspacep knows it, cvta.to gives it back.
TEST(Addresses, EverySpaceIsToldApartAndBack) {
  const std::pair<std::string, std::string> spaces[] = {
      {".global", "%y"}, {".shared", "tile"}, {".shared::cta", "tile"}, {".local", "place"}, {".param", "p1"}};
  for (const auto& [space, place] : spaces) {
    const std::string to_generic = "mov.b64 %w0, " + place + ";\ncvta" + space + ".u64 %w1, %w0;\n";
    Executed run = run_body(to_generic + "cvta.to" + space +
                                ".u64 %w2, %w1;\nst.global.b64 [%y], %w0;\n"
                                "st.global.b64 [%y+8], %w2;\nst.global.b64 [%y+16], %w1;\n",
                            {}, ".shared .align 16 .b8 tile[64];\n.local .align 16 .b8 place[16];\n");
    EXPECT_EQ(run.at(5), run.at(5, 1)) << space;
    EXPECT_EQ(run.at(5) == run.at(5, 2), space == ".global") << space;
    for (const std::string& test : spelt(move_forms(), "isspacep")) {
      run = run_body(to_generic + test + " %p0, %w1;\nselp.b32 %r0, 1, 0, %p0;\nst.global.b32 [%y], %r0;\n", {},
                     ".shared .align 16 .b8 tile[64];\n.local .align 16 .b8 place[16];\n");
      const std::string tested = test.substr(test.find('.'));
      EXPECT_EQ(run.at(5) != 0, tested.substr(0, 7) == space.substr(0, 7)) << test << " of " << space;
    }
  }
}

}  // namespace
}  // namespace winnow::gpusim
