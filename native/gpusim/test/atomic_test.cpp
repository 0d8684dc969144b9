// atom and red in every spelling, each lane on a cell of its own; then what the order in the spelling means for other
// blocks.
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
