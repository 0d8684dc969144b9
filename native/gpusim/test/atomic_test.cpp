// atom and red in every spelling, each lane on a cell of its own; then all lanes on one cell; then what the order in the
// spelling means for other blocks.
#include <algorithm>
#include <functional>

#include "body_runner.h"
#include "opcode_reference.h"
#include "spelling.h"

namespace winnow::gpusim {
namespace {

uint64_t expected_cell(const std::string& op, const std::string& type, uint64_t cell, uint64_t b, uint64_t c) {
  if (op == "exch") return b;
  if (op == "cas") return cell == b ? c : cell;
  if (op == "inc") return cell >= b ? 0 : cell + 1;
  if (op == "dec") return cell == 0 || cell > b ? b : cell - 1;
  const bool is_float = type[0] == 'f' || type[0] == 'b';
  return expected_of(op + (op == "add" && is_float ? ".rn." : ".") + type, {cell, b}).bits;
}

TEST(Atomics, EverySpellingOnCellsOfTheirOwn) {
  int executed = 0;
  for (const std::string& opcode : spellings(atomic_forms())) {
    const std::vector<std::string> words = words_of(opcode);
    const std::string& type = words.back();
    const std::string op = words[words.size() - (words[words.size() - 2] == "noftz" ? 3 : 2)];
    const uint32_t width = bits_of_type(type);
    const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
    const bool returns = words[0] == "atom", shared = opcode.find(".shared") != std::string::npos;
    // Small numbers of both signs, whose sums are normal numbers in every type of float; pairs that are equal for cas.
    std::vector<uint64_t> input;
    for (uint64_t lane = 0; lane < 32; ++lane) {
      uint64_t cell = 0x3F803F8040003F80 + lane * 0x0101010100010001,
               b = 0xC080C0C0C020C010 + lane * 0x0000100000010003;
      if (type[0] == 'u' || type[0] == 's' || (type[0] == 'b' && type[1] != 'f')) {
        cell = lane % 4 == 0 ? 0 - lane : lane;
        b = lane % 3 == 0 ? cell : lane % 3 == 1 ? 0 - lane * 7 : lane / 2;
      }
      for (const uint64_t word : {cell & mask, b & mask, (lane * 0x9E3779B97F4A7C15) & mask, uint64_t{0}})
        input.push_back(word);
    }
    const std::string reg = width == 16 ? "%h" : width == 32 ? "%r" : "%w", bits = "b" + std::to_string(width);
    const std::string at = shared ? "%r14" : "%y", space = shared ? ".shared" : ".global";
    std::string body = "mov.u32 %r14, cells;\nmad.lo.u32 %r14, %t, 8, %r14;\n";
    for (const int k : {0, 1, 2})
      body += "ld.global." + bits + " " + reg + std::to_string(k) + ", [%x+" + std::to_string(8 * k) + "];\n";
    body += "st" + space + "." + bits + " [" + at + "], " + reg + "0;\n" + opcode + " " + (returns ? reg + "3, " : "") +
            "[" + at + "], " + reg + "1" + (op == "cas" ? ", " + reg + "2" : "") + ";\n";
    body += "ld" + space + "." + bits + " " + reg + "4, [" + at + "];\nst.global." + bits + " [%y], " + reg + "4;\n";
    if (returns) body += "st.global." + bits + " [%y+8], " + reg + "3;\n";
    const Executed run = run_body(body, input, ".shared .align 8 .b8 cells[256];\n");
    for (int lane = 0; lane < 32; ++lane) {
      const uint64_t* in = &input[static_cast<size_t>(4 * lane)];
      ASSERT_EQ(run.at(lane), expected_cell(op, type, in[0], in[1], in[2]))
          << opcode << std::hex << " of 0x" << in[0] << ", 0x" << in[1];
      ASSERT_EQ(run.at(lane, 1), returns ? in[0] : 0) << opcode;
    }
    ++executed;
  }
  EXPECT_GT(executed, 4000);
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

// Block 0 writes and says so, block 1 looks and reads.
bool is_ordered(const std::string& say, const std::string& look) {
  KernelRunner runner(
      std::string(kHead) +
      ".visible .entry pass(.param .u64 data, .param .u64 flag)\n{\n.reg .b64 %d<3>; .reg .b32 %r<5>; "
      ".reg .pred %p;\n"
      "ld.param.u64 %d1, [data]; ld.param.u64 %d2, [flag];\nmov.u32 %r1, %ctaid.x; setp.ne.u32 %p, %r1, 0; "
      "@%p bra look;\nst.global.u32 [%d1], 7;\n" +
      say + "\nret;\nlook:\n" + look + "\nld.global.u32 %r3, [%d1];\nret;\n}\n");
  runner.options.num_threads = 1;  // block 0 comes first
  const std::vector<int32_t> zero{0};
  const uint64_t data = runner.buffer(zero), flag = runner.buffer(zero);
  const LaunchReport report = runner.run("pass", {2}, {1}, Arguments().add(data).add(flag));
  for (const Finding& finding : report.findings) EXPECT_EQ(finding.kind, FindingKind::kGlobalRace) << say << look;
  return report.findings.empty();
}

TEST(Atomics, OrderBetweenBlocks) {
  const std::string relaxed_store = "st.relaxed.gpu.global.u32 [%d2], 1;",
                    relaxed_load = "ld.relaxed.gpu.global.u32 %r2, [%d2];";
  const std::pair<std::string, bool> says[] = {
      {"atom.global.exch.b32 %r2, [%d2], 1;", false},
      {"atom.relaxed.gpu.global.exch.b32 %r2, [%d2], 1;", false},
      {"atom.acquire.gpu.global.exch.b32 %r2, [%d2], 1;", false},
      {"atom.release.gpu.global.exch.b32 %r2, [%d2], 1;", true},
      {"atom.acq_rel.sys.global.cas.b32 %r2, [%d2], 0, 1;", true},
      {"red.relaxed.gpu.global.add.u32 [%d2], 1;", false},
      {"red.release.gpu.global.add.u32 [%d2], 1;", true},
      {relaxed_store, false},
      {"st.volatile.global.u32 [%d2], 1;", false},
      {"st.release.gpu.global.u32 [%d2], 1;", true},
      {"membar.cta;" + relaxed_store, false},
      {"membar.gl;" + relaxed_store, true},
      {"membar.sys;" + relaxed_store, true},
      {"fence.cta;" + relaxed_store, false},
      {"fence.gpu;" + relaxed_store, true},
      {"fence.sys;" + relaxed_store, true},
      {"fence.sc.cta;" + relaxed_store, false},
      {"fence.sc.gpu;" + relaxed_store, true},
      {"fence.sc.sys;" + relaxed_store, true},
      {"fence.acq_rel.cta;" + relaxed_store, false},
      {"fence.acq_rel.gpu;" + relaxed_store, true},
      {"fence.acq_rel.sys;" + relaxed_store, true},
  };
  // Every atomic acquires, and every fence: more lenient than the manual, see release_order.h.
  const std::pair<std::string, bool> looks[] = {
      {"atom.relaxed.gpu.global.add.u32 %r2, [%d2], 0;", true},
      {"atom.acquire.gpu.global.add.u32 %r2, [%d2], 0;", true},
      {"atom.acq_rel.gpu.global.add.u32 %r2, [%d2], 0;", true},
      {relaxed_load, false},
      {"ld.volatile.global.u32 %r2, [%d2];", false},
      {"ld.acquire.gpu.global.u32 %r2, [%d2];", true},
      {relaxed_load + "fence.acq_rel.gpu;", true},
      {relaxed_load + "membar.gl;", true},
  };
  for (const auto& [say, releases] : says) {
    for (const auto& [look, acquires] : looks) EXPECT_EQ(is_ordered(say, look), releases && acquires) << say << look;
  }
}

}  // namespace
}  // namespace winnow::gpusim
