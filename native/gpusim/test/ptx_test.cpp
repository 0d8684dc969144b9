// What the loader accepts and refuses, and how control flows; results of single instructions are in opcode_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gpusim.h"

namespace winnow::gpusim {
namespace {

// A module with one kernel that writes its result, a 32-bit value per thread, to the array that its parameter names.
std::string kernel(const std::string& body, const std::string& before = "") {
  return ".version 9.0\n.target sm_80\n.address_size 64\n" + before +
         ".visible .entry k(.param .u64 out) {\n"
         ".reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<30>; .reg .f32 %f<9>; .reg .b64 %d<9>;\n"
         "ld.param.u64 %d1, [out]; mov.u32 %r1, %tid.x; mov.u32 %r2, 0;\n" +
         body + "\nmul.wide.u32 %d2, %r1, 4; add.s64 %d3, %d1, %d2; st.global.u32 [%d3], %r2; ret; }\n";
}

struct Outcome {
  LaunchReport report;
  std::vector<uint32_t> out;
};

Outcome run_kernel(const std::string& ptx, uint32_t num_threads = 32, Options options = {}) {
  Memory memory;
  const auto module = Module::load(ptx, memory);
  const uint64_t out = memory.allocate(4 * num_threads);
  Outcome r;
  r.report = run(memory, *module, *module->kernel("k"), {}, {num_threads}, 0, &out, sizeof out, options);
  r.out.resize(num_threads);
  memory.read(out, r.out.data(), 4 * num_threads);
  return r;
}

// The message with which the module is refused; "" when it loads.
std::string refusal(const std::string& ptx) {
  Memory memory;
  try {
    Module::load(ptx, memory);
    return "";
  } catch (const PtxError& error) {
    return error.what();
  }
}

TEST(Ptx, UnknownModifiersAreRefusedAtLoad) {
  EXPECT_EQ(refusal(kernel("add.s32 %r2, %r1, 1;")), "");
  for (const char* text : {"cvt.rn.f16x2.e4m3x2", "add.sat.u32", "mul.lo.f32", "fma.f32", "ld.global.nc.weird.u32",
                           "mma.sync.aligned.m16n8k16.row.row.f32.bf16.bf16.f32", "shfl.bfly.b32", "frobnicate.u32"}) {
    EXPECT_EQ(refusal(kernel(std::string(text) + " %r2, %r1, %r1;")),
              "PTX line 7: unsupported instruction " + std::string(text));
  }
}

TEST(Ptx, EverythingUnsupportedIsFoundAtOnce) {
  EXPECT_TRUE(find_unsupported(kernel("add.s32 %r2, %r1, 1;")).empty());
  const std::string broken =
      ".func f() { .reg .b32 %r<3>; frob.u32 %r1, %r2; ret; }\n"
      ".visible .entry other() { call.uni f, (); call.uni f, (); ret; }\n";
  std::string found;
  for (const PtxError& error :
       find_unsupported(kernel("mul.lo.f32 %f1, %f2, %f3;\nfma.f32 %f1, %f2, %f3, %f3;\nadd.s32 %r2, %d1, 1;", broken)))
    found += std::string(error.what()) + "\n";
  EXPECT_EQ(found,
            "PTX line 4: unsupported instruction frob.u32\n"
            "PTX line 9: unsupported instruction mul.lo.f32\n"
            "PTX line 10: unsupported instruction fma.f32\n"
            "PTX line 11: add.s32: register %d1 has 64 bits, expected 32\n");
  const auto text_error = find_unsupported(".version 9.0\n.target sm_80\n.address_size 64\n?");
  ASSERT_EQ(text_error.size(), 1u);
  EXPECT_EQ(text_error[0].line(), 4);
}

TEST(Ptx, OperandsMustFitTheType) {
  EXPECT_EQ(refusal(kernel("add.s32 %r2, %d1, 1;")), "PTX line 7: add.s32: register %d1 has 64 bits, expected 32");
  EXPECT_EQ(refusal(kernel("add.s32 %r2, %r1;")), "PTX line 7: add.s32: operand 3 is missing");
  EXPECT_EQ(refusal(kernel("add.f32 %f1, %f2, 1;")), "PTX line 7: add.f32: an integer where a float is expected");
  EXPECT_EQ(refusal(kernel("bra nowhere;")), "PTX line 7: there is no label nowhere");
  EXPECT_EQ(refusal(kernel("ld.param.u64 %d2, [out+8];")), "PTX line 7: ld.param.u64: reads past the parameters");
}

TEST(Ptx, OnlyAHintHasACachePolicy) {
  EXPECT_EQ(refusal(kernel("ld.global.L2::cache_hint.u32 %r2, [%d1], %d5;")), "");
  EXPECT_EQ(refusal(kernel("st.global.L2::cache_hint.u32 [%d1], %r2, %d5;")), "");
  EXPECT_EQ(refusal(kernel("ld.global.u32 %r2, [%d1], %d5;")),
            "PTX line 7: ld.global.u32: expected 2 operands, found 3");
  EXPECT_EQ(refusal(kernel("st.global.u32 [%d1], %r2, %d5;")),
            "PTX line 7: st.global.u32: expected 2 operands, found 3");
  EXPECT_EQ(refusal(kernel("ld.global.L2::cache_hint.u32 %r2, [%d1];")),
            "PTX line 7: ld.global.L2::cache_hint.u32: expected 3 operands, found 2");
  EXPECT_EQ(refusal(kernel("st.global.L2::cache_hint.u32 [%d1], %r2, %r3;")),
            "PTX line 7: st.global.L2::cache_hint.u32: register %r3 has 32 bits, expected 64");
  EXPECT_EQ(refusal(kernel("prefetch.global.L2 [%d1], %d5;")),
            "PTX line 7: prefetch.global.L2: expected 1 operands, found 2");
}

TEST(Ptx, NamesOfInnerScopesHideOuterOnes) {
  const Outcome r =
      run_kernel(kernel("mov.u32 %r2, 1;\n"
                        "{.reg .b32 t,%r3;\n mov.u32 t, 5;\n mov.u32 %r3, t;\n add.u32 %r2,%r2,%r3;\n"
                        "{.reg .b32 t; bra skip; mov.u32 %r2, 99; skip: mov.u32 t, 7; add.u32 %r2,%r2,t;}\n"
                        "add.u32 %r2,%r2,t;}\n"
                        "{ bra skip; mov.u32 %r2, 98; skip: add.u32 %r2,%r2,100; }"));
  EXPECT_EQ(r.out[3], 1u + 5 + 7 + 5 + 100);
}

TEST(Ptx, CallsAreExpandedEachWithItsOwnRegisters) {
  const std::string function =
      ".func (.param .b32 result) square_plus(.param .b32 a, .param .b32 b)\n"
      "{ .reg .b32 %r<4>; .reg .pred %p;\n ld.param.u32 %r0, [a]; ld.param.u32 %r1, [b];\n"
      "setp.gt.u32 %p, %r0, 9; mov.u32 %r2, 1000; @%p bra big; mad.lo.u32 %r2, %r0, %r0, %r1; big:\n"
      "st.param.b32 [result], %r2; ret; }\n";
  const std::string call =
      "{ .param .b32 x; st.param.b32 [x+0], %r1; .param .b32 y; st.param.b32 [y+0], %r2; .param .b32 z;\n"
      "call.uni (z), square_plus, (x, y); ld.param.b32 %r2, [z+0]; }\n";
  const Outcome r = run_kernel(kernel("mov.u32 %r2, 3;" + call + call, function));
  EXPECT_EQ(r.out[5], 25u + 25 + 3);
  EXPECT_EQ(r.out[9], 81u + 81 + 3);
  EXPECT_EQ(r.out[10], 1000u);
  EXPECT_TRUE(r.report.findings.empty());
}

TEST(Ptx, RecursionIsRefused) {
  const std::string function = ".func again()\n{ call.uni again; ret; }\n";
  EXPECT_EQ(refusal(kernel("call.uni again;", function)), "PTX line 4: recursion is not supported: again");
}

TEST(Ptx, BranchTablesSplitTheWarp) {
  const Outcome r =
      run_kernel(kernel("and.b32 %r3, %r1, 3;\n"
                        "table: .branchtargets one, two, three, one;\n"
                        "brx.idx %r3, table;\n"
                        "one: add.u32 %r2, %r2, 1; bra end;\n"
                        "two: add.u32 %r2, %r2, 20; bra end;\n"
                        "three: add.u32 %r2, %r2, 300;\n"
                        "end: add.u32 %r2, %r2, 5000;"));
  const uint32_t expected[] = {5001, 5020, 5300, 5001};
  for (uint32_t t = 0; t < 32; ++t) EXPECT_EQ(r.out[t], expected[t % 4]) << t;
}

TEST(Ptx, LoopsOfDifferentLengthMeetAgain) {
  const Outcome r =
      run_kernel(kernel("mov.u32 %r3, 0;\n"
                        "loop: setp.ge.u32 %p1, %r3, %r1; @%p1 bra done;\n"
                        "add.u32 %r2, %r2, %r3; add.u32 %r3, %r3, 1; bra loop;\n"
                        "done: activemask.b32 %r4; shl.b32 %r4, %r4, 16; add.u32 %r2, %r2, %r4;"));
  for (uint32_t t = 0; t < 32; ++t) EXPECT_EQ(r.out[t], t * (t - 1) / 2 + 0xFFFF0000) << t;
  EXPECT_EQ(r.report.counters.divergent_branches, 31u);
}

// Lane 0 waits for a flag that lane 1 sets further down: only fair turns let lane 1 get there.
TEST(Ptx, ASpinningLaneLetsTheOthersRun) {
  Options options;
  options.max_instructions = 100'000;
  options.check_initialised = false;  // lane 0 may look before lane 1 has written
  const Outcome r =
      run_kernel(kernel("mov.u64 %d4, flag; setp.eq.u32 %p1, %r1, 0; @!%p1 bra set;\n"
                        "wait: ld.volatile.shared.u32 %r2, [%d4]; setp.ne.u32 %p2, %r2, 7; @%p2 bra wait;\n"
                        "bra end;\n"
                        "set: setp.ne.u32 %p2, %r1, 1; @%p2 bra end; mov.u32 %r5, 7;\n"
                        "st.volatile.shared.u32 [%d4], %r5;\n"
                        "end: ",
                        ".shared .align 4 .u32 flag;\n"),
                 32, options);
  EXPECT_EQ(r.report.error, 0);
  EXPECT_EQ(r.out[0], 7u);
}

// The ticket that each warp draws: the order in which they come.
std::vector<uint32_t> tickets(uint64_t seed) {
  constexpr uint32_t kWarps = 8;
  Options options;
  options.seed = seed;
  const Outcome r = run_kernel(kernel("mov.u64 %d4, next; and.b32 %r3, %r1, 31; setp.ne.u32 %p1, %r3, 0;\n"
                                      "@!%p1 atom.global.add.u32 %r2, [%d4], 1;",
                                      ".global .align 4 .u32 next = 0;\n"),
                               32 * kWarps, options);
  std::vector<uint32_t> of_warps;
  for (uint32_t w = 0; w < kWarps; ++w) of_warps.push_back(r.out[32 * w]);
  return of_warps;
}

TEST(Ptx, TheSeedChoosesTheOrderOfWarps) {
  EXPECT_EQ(tickets(0), (std::vector<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_NE(tickets(1), tickets(0));
  EXPECT_NE(tickets(2), tickets(1));
  for (const uint64_t seed : {1, 2}) EXPECT_EQ(tickets(seed), tickets(seed));
  std::vector<uint32_t> drawn = tickets(1);
  std::sort(drawn.begin(), drawn.end());
  EXPECT_EQ(drawn, tickets(0));
}

TEST(Ptx, AnEndlessLoopIsATimeout) {
  Options options;
  options.max_instructions = 10'000;
  const Outcome r = run_kernel(kernel("again: add.u32 %r2, %r2, 1; bra again;"), 32, options);
  EXPECT_EQ(r.report.error, 702);
  ASSERT_EQ(r.report.findings.size(), 1u);
  EXPECT_EQ(r.report.findings[0].kind, FindingKind::kTimeout);
}

// What a launch with this block says against a kernel with these directives; "" when it runs.
std::string launch_refusal(const std::string& directives, Dim3 block) {
  Memory memory;
  const auto module =
      Module::load(".version 9.0\n.target sm_80\n.address_size 64\n.entry k() " + directives + " { ret; }\n", memory);
  try {
    run(memory, *module, *module->kernel("k"), {}, block, 0, nullptr, 0, {});
    return "";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

TEST(Ptx, ALaunchMustHaveTheBlockThatTheKernelStates) {
  EXPECT_EQ(launch_refusal(".maxntid 8, 8", {64}), "");
  EXPECT_EQ(launch_refusal(".maxntid 8, 8", {65}), "k: 65 threads per block, expected 1 to 64");
  EXPECT_EQ(launch_refusal(".reqntid 64", {64}), "");
  EXPECT_EQ(launch_refusal(".reqntid 64", {65}), "k: 65 threads per block, expected 1 to 64");
  EXPECT_EQ(launch_refusal(".reqntid 64", {32}), "k: the block must be 64 x 1 x 1 threads, as it states");
  EXPECT_EQ(launch_refusal(".reqntid 8, 4, 2", {8, 4, 2}), "");
  EXPECT_EQ(launch_refusal(".reqntid 8, 4, 2", {64}), "k: the block must be 8 x 4 x 2 threads, as it states");
}

TEST(Ptx, GlobalsHoldTheirInitialisers) {
  const Outcome r =
      run_kernel(kernel("ld.global.u64 %d4, [pointer]; ld.u32 %r2, [%d4]; ld.const.f32 %f1, [half+4];\n"
                        "cvt.rzi.u32.f32 %r3, %f1; add.u32 %r2, %r2, %r3;",
                        ".global .align 4 .u32 table[3] = {1, 20, 0x12C};\n"
                        ".global .align 8 .u64 pointer = generic(table)+8;\n"
                        ".const .align 4 .f32 half[2] = {0f3F000000, 0f42280000};\n"));
  EXPECT_EQ(r.out[0], 300u + 42);
}

TEST(Ptx, CountedBarriersOrderProducersAndConsumers) {
  // Warps 0 and 1 fill, warps 2 and 3 read: 128 threads meet at barrier 1, of which the producers do not wait.
  const std::string body =
      "mov.u64 %d4, data; and.b32 %r3, %r1, 63; mul.wide.u32 %d5, %r3, 4; add.s64 %d6, %d4, %d5;\n"
      "setp.ge.u32 %p1, %r1, 64; @%p1 bra read;\n"
      "st.shared.u32 [%d6], %r3; bar.arrive 1, 128; bra end;\n"
      "read: bar.sync 1, 128; ld.shared.u32 %r2, [%d6];\n"
      "end: ";
  for (const uint64_t seed : {0, 1, 2, 3}) {
    Options options;
    options.seed = seed;
    const Outcome r = run_kernel(kernel(body, ".shared .align 4 .b8 data[256];\n"), 128, options);
    EXPECT_EQ(r.report.error, 0);
    EXPECT_TRUE(r.report.findings.empty());
    for (uint32_t t = 64; t < 128; ++t) EXPECT_EQ(r.out[t], t - 64) << t;
  }
}

// Kinds of what is found when two warps meet at two barriers, each behind its own text.
std::string barriers_after(const std::string& one, const std::string& other, const std::string& before = "",
                           const std::string& barrier = "bar.sync 0;\n") {
  const std::string files = ".file 1 \"a.cu\"\n.file 2 \"b.cuh\"\n";
  const Outcome r = run_kernel(kernel("setp.lt.u32 %p1, %r1, 32;\n@%p1 bra first;\n" + other + barrier +
                                          "bra end;\nfirst:\n" + one + barrier + "end:",
                                      files + before),
                               64);
  std::string kinds;
  for (const Finding& finding : r.report.findings) kinds += name(finding.kind);
  return kinds;
}

TEST(Ptx, BarriersAreOneIfTheyComeFromOnePlaceByTheSameCalls) {
  EXPECT_EQ(barriers_after("", ""), "divergent barrier");
  EXPECT_EQ(barriers_after(".loc 1 7 3\n", ".loc 1 7 3\n"), "");
  EXPECT_EQ(barriers_after(".loc 1 7 3\n", ".loc 1 8 3\n"), "divergent barrier");
  EXPECT_EQ(barriers_after(".loc 1 7 3\n", ".loc 1 7 9\n"), "divergent barrier");
  EXPECT_EQ(barriers_after(".loc 1 0 0\n", ".loc 1 0 0\n"), "divergent barrier");  // from no line
  const std::string helper = ".loc 2 4 1, function_name f, inlined_at ";
  EXPECT_EQ(barriers_after(helper + "1 7 3\n", helper + "1 7 3\n"), "");
  EXPECT_EQ(barriers_after(helper + "1 7 3\n", helper + "1 9 3\n"), "divergent barrier");
  // The call of the helper was itself inlined, which only its own .loc says.
  const std::string called = ".loc 2 8 1, function_name g, inlined_at ";
  const auto nested = [&](const std::string& at) { return called + at + "\n" + helper + "2 8 1\n"; };
  EXPECT_EQ(barriers_after(nested("1 7 3"), nested("1 7 3")), "");
  EXPECT_EQ(barriers_after(nested("1 7 3"), nested("1 9 3")), "divergent barrier");
}

TEST(Ptx, ACallThatIsNotInlinedTellsItsBarriersApartToo) {
  const std::string function = ".func meet()\n{ .loc 2 4 1\n bar.sync 0; ret; }\n", call = "call.uni meet;\n";
  EXPECT_EQ(barriers_after(".loc 1 7 3\n", ".loc 1 7 3\n", function, call), "");
  EXPECT_EQ(barriers_after(".loc 1 7 3\n", ".loc 1 9 3\n", function, call), "divergent barrier");
}

// Lanes that come one after the other to the same instruction do no harm: the compiler lets them meet before it.
TEST(Ptx, AWarpMayReachOneBarrierInParts) {
  const Outcome r =
      run_kernel(kernel("setp.lt.u32 %p1, %r1, 5; @%p1 bra meet;\n"
                        "mov.u32 %r3, 0; spin: add.u32 %r3, %r3, 1; setp.lt.u32 %p2, %r3, 200; @%p2 bra spin;\n"
                        "meet: activemask.b32 %r2; bar.sync 0;"));
  EXPECT_TRUE(r.report.findings.empty());
  EXPECT_EQ(r.out[0], 0x1Fu);
  EXPECT_EQ(r.out[5], ~0x1Fu);
}

TEST(Ptx, CarriesReachTheNextWord) {
  const Outcome r = run_kernel(
      kernel("mov.u32 %r3, 0xFFFFFFFF; add.cc.u32 %r4, %r3, %r1; addc.cc.u32 %r5, %r3, 0; addc.u32 %r2, 0, 0;"));
  EXPECT_EQ(r.out[0], 0u);
  EXPECT_EQ(r.out[1], 1u);
}

TEST(Ptx, AddressesOfEverySpaceAreGeneric) {
  const Outcome r =
      run_kernel(kernel(".local .align 4 .b8 mine[4];\n"
                        "mov.u64 %d4, data; cvta.shared.u64 %d5, %d4; mov.u64 %d6, mine; cvta.local.u64 %d7, %d6;\n"
                        "and.b32 %r3, %r1, 1; setp.eq.u32 %p1, %r3, 0; selp.b64 %d8, %d5, %d7, %p1;\n"
                        "setp.lt.u32 %p2, %r1, 2; @!%p2 bra end;\n"
                        "add.u32 %r4, %r1, 40; st.u32 [%d8], %r4; ld.u32 %r2, [%d8]; end: ",
                        ".shared .align 4 .b8 data[4];\n"));
  EXPECT_EQ(r.out[0], 40u);
  EXPECT_EQ(r.out[1], 41u);
  EXPECT_TRUE(r.report.findings.empty());
}

}  // namespace
}  // namespace winnow::gpusim
