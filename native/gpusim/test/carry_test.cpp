// Arithmetic with the carry flag: every spelling, with the flag clear and set before it, against an adder made of
// single bits.
#include "body_runner.h"
#include "opcode_reference.h"
#include "spelling.h"

namespace winnow::gpusim {
namespace {

struct Sum {
  uint64_t bits = 0;
  bool carry = false;
};

Sum ripple(uint64_t a, uint64_t b, bool carry, uint32_t width) {
  Sum sum{0, carry};
  for (uint32_t i = 0; i < width; ++i) {
    const uint64_t x = a >> i & 1, y = b >> i & 1, c = sum.carry ? 1 : 0;
    sum.bits |= (x ^ y ^ c) << i;
    sum.carry = (x & y) != 0 || (x & c) != 0 || (y & c) != 0;
  }
  return sum;
}

// What the instruction leaves in its destination and in the flag.
Sum expected_sum(const std::string& opcode, const std::vector<uint64_t>& in, bool flag) {
  const std::vector<std::string> words = words_of(opcode);
  const std::string &op = words[0], &type = words.back();
  const bool reads = op.back() == 'c', writes = words[words.size() - 2] == "cc";
  const uint32_t width = bits_of_type(type);
  Sum sum;
  if (op == "sub" || op == "subc") {  // a - b - borrow = a + ~b + (1 - borrow), which carries unless it borrows
    sum = ripple(in[0], ~in[1], !(reads && flag), width);
    sum.carry = !sum.carry;
  } else if (op == "add" || op == "addc") {
    sum = ripple(in[0], in[1], reads && flag, width);
  } else {
    const uint64_t product = expected_of("mul." + words[1] + "." + type, {in[0], in[1]}).bits;
    sum = ripple(product, in[2], reads && flag, width);
  }
  if (!writes) sum.carry = flag;
  return sum;
}

TEST(Carry, EverySpellingOnEveryPairOfAwkwardNumbers) {
  const std::vector<std::string> opcodes = spellings(carry_forms());
  EXPECT_EQ(opcodes.size(), 48u);
  for (const std::string& opcode : opcodes) {
    const bool wide = bits_of_type(words_of(opcode).back()) == 64, has_product = opcode.substr(0, 3) == "mad";
    const uint64_t mask = wide ? ~uint64_t{0} : 0xFFFFFFFF, sign = wide ? uint64_t{1} << 63 : 0x80000000;
    const std::vector<uint64_t> awkward = {0, 1, 2, mask, mask - 1, sign, sign - 1, sign + 1};
    const std::string reg = wide ? "%w" : "%r", bits = wide ? "b64" : "b32";
    const std::string operands = reg + "3, " + reg + "0, " + reg + "1" + (has_product ? ", " + reg + "2" : "");
    const std::string body =
        "ld.global." + bits + " " + reg + "0, [%x];\nld.global." + bits + " " + reg + "1, [%x+8];\nld.global." + bits +
        " " + reg + "2, [%x+16];\nld.global.b32 %r8, [%x+24];\nadd.cc.u32 %r9, %r8, 0xFFFFFFFF;\n" + opcode + " " +
        operands + ";\naddc.u32 %r10, 0, 0;\nst.global." + bits + " [%y], " + reg + "3;\nst.global.b32 [%y+8], %r10;\n";
    for (size_t k = 0; k < 2 * awkward.size(); k += 4) {  // four first operands, half of them with the flag
      std::vector<uint64_t> input;
      for (size_t lane = 0; lane < 32; ++lane) {
        const size_t first = k + lane / 8;
        for (const uint64_t word : {awkward[first / 2], awkward[lane % 8], awkward[(first + lane) % 7], first & 1})
          input.push_back(word);
      }
      const Executed run = run_body(body, input);
      for (size_t lane = 0; lane < 32; ++lane) {
        const std::vector<uint64_t> in(&input[4 * lane], &input[4 * lane] + 3);
        const bool flag = input[4 * lane + 3] != 0;
        const Sum expected = expected_sum(opcode, in, flag);
        const auto l = static_cast<int>(lane);
        ASSERT_EQ(run.at(l), expected.bits) << opcode << " of " << in[0] << ", " << in[1] << ", flag " << flag;
        ASSERT_EQ(run.at(l, 1), expected.carry) << "flag of " << opcode << " of " << in[0] << ", " << in[1];
      }
    }
  }
}

}  // namespace
}  // namespace winnow::gpusim
