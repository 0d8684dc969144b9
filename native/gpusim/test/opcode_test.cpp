// Every instruction that computes registers from registers, in every spelling that the decoder accepts, on every
// combination of awkward values, against opcode_reference.h. Then what cannot be derived: vectors written down by hand.
#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "kernel_runner.h"
#include "opcode_reference.h"
#include "soft_float.h"
#include "spelling.h"

namespace winnow::gpusim {
namespace {

std::string register_type(const std::string& type) {
  return type == "pred" ? "pred" : "b" + std::to_string(std::max(16u, bits_of_type(type)));
}

// An entry that applies the opcode to operands[thread][k] (8 bytes each) and stores results[thread].
std::string entry_for(const std::string& opcode, const Signature& signature) {
  std::string text =
      ".visible .entry apply(.param .u64 p0, .param .u64 p1)\n{\n.reg .b64 %a<8>;\n.reg .b32 %t<4>;\n.reg .pred %q;\n";
  text += ".reg ." + register_type(signature.result) + " %d;\n";
  std::string operands = signature.result == "pred" ? "%q" : "%d";
  std::string loads;
  for (size_t k = 0; k < signature.operands.size(); ++k) {
    const std::string type = register_type(signature.operands[k]), name = "%x" + std::to_string(k);
    const std::string at = "[%a2+" + std::to_string(8 * k) + "];\n";
    text += ".reg ." + type + " " + name + ";\n";
    if (type == "pred") {
      loads += "ld.global.b32 %t2, " + at + "setp.ne.s32 " + name + ", %t2, 0;\n";
    } else {
      loads += "ld.global." + type + " " + name + ", " + at;
    }
    operands += ", " + name;
  }
  text += "ld.param.u64 %a0, [p0];\nld.param.u64 %a1, [p1];\nmov.u32 %t0, %tid.x;\nmov.u32 %t1, %ctaid.x;\n";
  text += "mad.lo.s32 %t0, %t1, 32, %t0;\nmul.wide.u32 %a3, %t0, 32;\nadd.s64 %a2, %a0, %a3;\n";
  text +=
      "mul.wide.u32 %a4, %t0, 8;\nadd.s64 %a5, %a1, %a4;\nmov.b64 %a6, 0;\n" + loads + opcode + " " + operands + ";\n";
  text += "st.global.b64 [%a5], %a6;\n";
  if (signature.result == "pred") {
    text += "selp.b32 %t3, 1, 0, %q;\nst.global.b32 [%a5], %t3;\n";
  } else {
    text += "st.global." + register_type(signature.result) + " [%a5], %d;\n";
  }
  return ".version 8.6\n.target sm_80\n.address_size 64\n" + text + "ret;\n}\n";
}

// Values at which something happens: signs, carries, subnormals, ties, infinities, NaN; then a few without meaning.
std::vector<uint64_t> awkward(const std::string& type) {
  const uint32_t width = bits_of_type(type);
  const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  std::vector<uint64_t> values;
  if (type == "pred") return {0, 1};
  if (type.substr(0, 1) == "f" || type.substr(0, 2) == "bf") {
    const std::string element =
        type.size() > 2 && type.substr(type.size() - 2) == "x2" ? type.substr(0, type.size() - 2) : type;
    const soft::Format& f = element == "f16"    ? soft::kF16
                            : element == "bf16" ? soft::kBf16
                            : element == "f32"  ? soft::kF32
                                                : soft::kF64;
    const auto of = [&](double x) {
      uint64_t bits;
      std::memcpy(&bits, &x, 8);
      return soft::encode(f, soft::decode(soft::kF64, bits));
    };
    const uint64_t sign = uint64_t{1} << (f.bits - 1), infinity = of(INFINITY);
    for (const double x : {0.0, 1.0, 1.5, 2.5, 3.0, 0.5, 0.1, 1e-3, 7.75, 127.5, 128.5, 255.5, 300.0, 32767.5, 65535.5,
                           2147483648.0, 4294967296.0, 1.8446744073709552e19})
      values.push_back(of(x));
    for (const uint64_t bits : {uint64_t{1}, uint64_t{2}, uint64_t{3}, of(std::ldexp(1.0, f.min_exponent)) - 1,
                                of(std::ldexp(1.0, f.min_exponent)), of(1) + 1, of(1) - 1, infinity - 1, infinity,
                                infinity + 1 + (infinity >> 3 & 0x15)})
      values.push_back(bits);
    for (size_t i = 0, n = values.size(); i < n; i += 1 + (i % 3 == 1)) values.push_back(values[i] | sign);
    if (element != type) {
      const std::vector<uint64_t> halves = values;
      for (size_t i = 0; i < halves.size(); ++i) values[i] = halves[i] << 16 | halves[(i * 7 + 3) % halves.size()];
    }
  } else {
    for (const uint64_t bits : {uint64_t{0},
                                uint64_t{1},
                                uint64_t{2},
                                uint64_t{3},
                                uint64_t{7},
                                uint64_t{15},
                                uint64_t{16},
                                uint64_t{31},
                                uint64_t{32},
                                uint64_t{33},
                                uint64_t{63},
                                uint64_t{64},
                                uint64_t{65},
                                uint64_t{127},
                                uint64_t{128},
                                uint64_t{255},
                                uint64_t{256},
                                uint64_t{0x7FFF},
                                uint64_t{0x8000},
                                uint64_t{0xFFFF},
                                uint64_t{0x10000},
                                uint64_t{0x7FFFFF},
                                uint64_t{0x800000},
                                uint64_t{0x01000001},
                                uint64_t{0x7FFFFFFF},
                                uint64_t{0x80000000},
                                uint64_t{0xFFFFFFFF},
                                uint64_t{0x80000001},
                                uint64_t{0x12345678},
                                uint64_t{0x9ABCDEF0},
                                uint64_t{0x7FFFFFFFFFFFFFFF},
                                uint64_t{0x8000000000000000},
                                ~uint64_t{0},
                                uint64_t{0x8000000000000001},
                                uint64_t{0xFEDCBA9876543210},
                                uint64_t{1} << 53,
                                (uint64_t{1} << 53) + 1,
                                (uint64_t{1} << 24) + 1,
                                (uint64_t{1} << 24) + 3,
                                ~uint64_t{0} - 1,
                                ~uint64_t{0} - 255})
      values.push_back(bits & mask);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

bool is_nan_of(const std::string& type, uint64_t bits) {
  if (type == "f64") return soft::decode(soft::kF64, bits).nan;
  return type == "f32" && soft::decode(soft::kF32, bits).nan;
}

bool agrees(const std::string& type, uint64_t found, const Expected& expected) {
  if (found == expected.bits) return true;
  if (type == "f64" && is_nan_of(type, found) && is_nan_of(type, expected.bits))
    return true;  // its payload is not specified
  if (expected.tolerance == 0) return false;
  const std::string element =
      type.size() > 2 && type.substr(type.size() - 2) == "x2" ? type.substr(0, type.size() - 2) : type;
  const soft::Format& f = element == "f16"    ? soft::kF16
                          : element == "bf16" ? soft::kBf16
                          : element == "f32"  ? soft::kF32
                                              : soft::kF64;
  const auto value = [&](uint64_t bits) {
    const soft::Number x = soft::decode(f, bits & (f.bits == 64 ? ~uint64_t{0} : (uint64_t{1} << f.bits) - 1));
    if (x.nan) return double{NAN};
    const double magnitude = x.infinite ? INFINITY : std::ldexp(static_cast<double>(x.mantissa), x.exponent);
    return x.negative ? -magnitude : magnitude;
  };
  for (int shift = 0; shift < (element == type ? 1 : 32); shift += 16) {
    const double a = value(found >> shift), b = value(expected.bits >> shift);
    if (std::isnan(a) && std::isnan(b)) continue;
    const double least = std::ldexp(1.0, f.min_exponent);  // results below the smallest normal number may be flushed
    if (!(a == b || std::fabs(a - b) <= expected.tolerance * std::max({std::fabs(b), std::fabs(a), least}) ||
          std::fabs(a - b) <= std::max(0x1p-20, expected.tolerance) * (std::fabs(b) <= 1 ? 1e-1 : 0) ||
          std::fabs(a - b) <= least))
      return false;
  }
  return true;
}

const std::vector<std::string>& all_opcodes() {
  static const std::vector<std::string> opcodes = [] {
    std::vector<std::string> spelt;
    for (const Forms* family : {&integer_forms(), &bit_forms(), &float_forms(), &half_forms(), &approximate_forms(),
                                &compare_forms(), &convert_forms(), &move_forms()}) {
      for (const std::string& opcode : spellings(*family)) spelt.push_back(opcode);
    }
    return spelt;
  }();
  return opcodes;
}

struct Outcome {
  int vectors = 0;
  std::string failure;  // the first one
};

Outcome try_opcode(const std::string& opcode, KernelRunner& runner) {
  const Signature signature = signature_of(opcode);
  std::vector<std::vector<uint64_t>> cases;
  const size_t count = signature.operands.size();
  std::vector<std::vector<uint64_t>> pools;
  for (const std::string& type : signature.operands) pools.push_back(awkward(type));
  std::mt19937_64 random(7);
  if (count == 1) {
    for (uint64_t a : pools[0]) cases.push_back({a});
  } else if (count == 2) {
    for (uint64_t a : pools[0]) {
      for (uint64_t b : pools[1]) cases.push_back({a, b});
    }
  }
  for (int i = 0; i < (count > 2 ? 1024 : 256); ++i) {
    std::vector<uint64_t> row;
    for (size_t k = 0; k < count; ++k) {
      const uint32_t width = bits_of_type(signature.operands[k]);
      const uint64_t any = random() & (width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1);
      row.push_back(i % 4 == 3 ? any : pools[k][random() % pools[k].size()]);
    }
    cases.push_back(row);
  }
  while (cases.size() % 32 != 0) cases.push_back(cases[0]);
  std::vector<uint64_t> operands(cases.size() * 4);
  for (size_t i = 0; i < cases.size(); ++i) std::copy(cases[i].begin(), cases[i].end(), &operands[4 * i]);
  const uint64_t x = runner.buffer(operands), y = runner.unwritten<uint64_t>(cases.size());
  const LaunchReport report =
      runner.run("apply", {static_cast<uint32_t>(cases.size() / 32)}, {32}, Arguments().add(x).add(y));
  Outcome outcome{static_cast<int>(cases.size()), findings_of(report)};
  const std::vector<uint64_t> found = runner.read<uint64_t>(y, cases.size());
  const uint32_t width = bits_of_type(signature.result);
  for (size_t i = 0; i < cases.size() && outcome.failure.empty(); ++i) {
    const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
    const Expected expected = expected_of(opcode, cases[i]);
    if (agrees(signature.result, found[i] & mask, expected)) continue;
    std::ostringstream text;
    text << opcode << std::hex;
    for (uint64_t operand : cases[i]) text << " 0x" << operand;
    text << " gives 0x" << (found[i] & mask) << ", expected 0x" << expected.bits;
    outcome.failure = text.str();
  }
  return outcome;
}

// Handled elsewhere or by other tests: their operands are not plain registers.
bool is_special(const std::string& opcode) {
  static const std::set<std::string> kOther = {"lop3", "cvta", "isspacep"};
  return kOther.count(words_of(opcode)[0]) != 0 || opcode.find(".pred") != std::string::npos;
}

TEST(Opcodes, EverySpellingAgreesWithTheReference) {
  int executed = 0, refused = 0;
  int64_t vectors = 0;
  std::string not_covered, failures;
  int num_failures = 0;
  for (const std::string& opcode : all_opcodes()) {
    if (is_special(opcode)) continue;
    if (!is_covered(opcode)) {
      not_covered += opcode + "\n";
      continue;
    }
    std::unique_ptr<KernelRunner> runner;
    try {
      runner = std::make_unique<KernelRunner>(entry_for(opcode, signature_of(opcode)));
    } catch (const PtxError& e) {
      // The table's alternatives multiply; combinations that PTX does not have are refused.
      ASSERT_NE(std::string(e.what()).find("nsupported"), std::string::npos) << opcode << ": " << e.what();
      ++refused;
      continue;
    }
    runner->options.num_threads = 1;
    const Outcome outcome = try_opcode(opcode, *runner);
    ++executed;
    vectors += outcome.vectors;
    if (!outcome.failure.empty() && ++num_failures <= 100) failures += outcome.failure + "\n";
  }
  std::printf("%d opcodes, %lld vectors, %d combinations refused\n", executed, static_cast<long long>(vectors),
              refused);
  EXPECT_EQ(not_covered, "");
  EXPECT_EQ(failures, "") << num_failures << " opcodes fail";
  EXPECT_GT(executed, 1000);
}

// The comparison itself must be able to fail.
TEST(Opcodes, ADifferenceOfOneBitIsSeen) {
  EXPECT_FALSE(agrees("f32", 0x3F800001, {0x3F800000, 0}));
  EXPECT_FALSE(agrees("f32", 0x3F800010, {0x3F800000, 0x1p-22}));
  EXPECT_FALSE(agrees("f32", 0x7FC00000, {0x7FFFFFFF, 0}));
  EXPECT_FALSE(agrees("f32", 0x7FFFFFFF, {0x3F800000, 0x1p-10}));
  EXPECT_TRUE(agrees("f32", 0x3F800001, {0x3F800000, 0x1p-22}));
}

// Written down from the PTX manual and IEEE 754, so that the reference is held to something too.
TEST(Opcodes, VectorsByHand) {
  const struct {
    const char* opcode;
    std::vector<uint64_t> operands;
    uint64_t expected;
  } kVectors[] = {
      {"add.s32", {0x7FFFFFFF, 1}, 0x80000000},
      {"add.sat.s32", {0x7FFFFFFF, 1}, 0x7FFFFFFF},
      {"sub.u16", {0, 1}, 0xFFFF},
      {"mul.hi.s32", {0x80000000, 0x80000000}, 0x40000000},
      {"mul.hi.u64", {~uint64_t{0}, ~uint64_t{0}}, ~uint64_t{1}},
      {"mul.wide.s32", {0xFFFFFFFF, 2}, ~uint64_t{1}},
      {"mad.wide.u16", {0xFFFF, 0xFFFF, 1}, 0xFFFE0002},
      {"shl.b32", {1, 32}, 0},
      {"shl.b32", {1, 31}, 0x80000000},
      {"shr.s32", {0x80000000, 40}, 0xFFFFFFFF},
      {"shr.u32", {0x80000000, 32}, 0},
      {"shr.s16", {0x8000, 15}, 0xFFFF},
      {"shf.l.wrap.b32", {0x11111111, 0x22222222, 36}, 0x22222221},
      {"shf.r.clamp.b32", {0x11111111, 0x22222222, 36}, 0x22222222},
      {"bfe.s32", {0x000000F0, 4, 4}, 0xFFFFFFFF},
      {"bfe.u32", {0x80000000, 31, 8}, 1},
      {"bfi.b32", {0xF, 0, 8, 4}, 0xF00},
      {"bfind.u32", {0}, 0xFFFFFFFF},
      {"bfind.s32", {0xFFFFFFFE}, 0},
      {"clz.b32", {0}, 32},
      {"prmt.b32", {0x03020100, 0x07060504, 0x7531}, 0x07050301},
      {"prmt.b32", {0x80, 0, 0x8888}, 0xFFFFFFFF},
      {"add.rn.f32", {0x3F800000, 0x33800000}, 0x3F800000},  // 1 + 2^-24: tie to even
      {"add.rp.f32", {0x3F800000, 0x33800000}, 0x3F800001},
      {"add.rm.f32", {0x3F800000, 0xBF800000}, 0x80000000},  // exact zero, rounding down
      {"add.ftz.f32", {0x00000001, 0x00000001}, 0},
      {"add.f32", {0x00000001, 0x00000001}, 0x00000002},
      {"add.f32", {0x7F800000, 0xFF800000}, 0x7FFFFFFF},
      {"add.sat.f32", {0x3F800000, 0x3F800000}, 0x3F800000},
      {"fma.rn.f32", {0x3F800001, 0x3F800001, 0xBF800002}, 0x28800000},  // (1 + u)^2 - (1 + 2u) = u^2
      {"div.rn.f32", {0x3F800000, 0x40400000}, 0x3EAAAAAB},
      {"div.rz.f32", {0x3F800000, 0x40400000}, 0x3EAAAAAA},
      {"rcp.rn.f32", {0x80000000}, 0xFF800000},
      {"sqrt.rn.f32", {0xBF800000}, 0x7FFFFFFF},
      {"min.f32", {0x7FC00000, 0x40000000}, 0x40000000},
      {"min.NaN.f32", {0x7FC00000, 0x40000000}, 0x7FFFFFFF},
      {"min.f32", {0x00000000, 0x80000000}, 0x80000000},
      {"max.f32", {0x80000000, 0x00000000}, 0x00000000},
      {"setp.lt.f32", {0x7FC00000, 0x3F800000}, 0},
      {"setp.ltu.f32", {0x7FC00000, 0x3F800000}, 1},
      {"setp.ne.f32", {0x7FC00000, 0x7FC00000}, 0},
      {"setp.hi.u32", {0xFFFFFFFF, 1}, 1},
      {"setp.gt.s32", {0xFFFFFFFF, 1}, 0},
      {"cvt.rni.s32.f32", {0x40200000}, 2},           // 2.5
      {"cvt.rni.s32.f32", {0x40600000}, 4},           // 3.5
      {"cvt.rzi.s32.f32", {0xBFC00000}, 0xFFFFFFFF},  // -1.5
      {"cvt.rmi.s32.f32", {0xBFC00000}, 0xFFFFFFFE},
      {"cvt.rzi.s32.f32", {0x4F000000}, 0x7FFFFFFF},  // 2^31 saturates
      {"cvt.rzi.u32.f32", {0xBF800000}, 0},
      {"cvt.rzi.s32.f32", {0x7FC00000}, 0},
      {"cvt.sat.u8.s32", {0xFFFFFFFF}, 0},
      {"cvt.sat.u8.s32", {300}, 255},
      {"cvt.s32.s8", {0x80}, 0xFFFFFF80},
      {"cvt.rn.f32.u32", {0xFFFFFFFF}, 0x4F800000},
      {"cvt.rn.f16.f32", {0x477FF000}, 0x7C00},  // 65520: the tie above the largest rounds to infinity
      {"cvt.rn.f16.f32", {0x477FEFFF}, 0x7BFF},
      {"cvt.rn.f16.f32", {0x33000000}, 0x0000},  // 2^-25: tie to even, zero
      {"cvt.rn.f16.f32", {0x33000001}, 0x0001},
      {"cvt.rn.bf16.f32", {0x3F808000}, 0x3F80},  // ties to even
      {"cvt.rn.bf16.f32", {0x3F818000}, 0x3F82},
      {"cvt.rn.bf16.f32", {0x7FC00000}, 0x7FFF},
      {"cvt.rz.bf16.f32", {0x3F81FFFF}, 0x3F81},
      {"cvt.rn.bf16x2.f32", {0x3F800000, 0x40000000}, 0x3F804000},  // the first operand goes to the upper half
      {"cvt.rn.relu.bf16x2.f32", {0xBF800000, 0x40000000}, 0x00004000},
      {"cvt.f32.f16", {0x0001}, 0x33800000},
      {"cvt.f32.bf16", {0x8001}, 0x80010000},
      {"cvt.rna.tf32.f32", {0x3F801000}, 0x3F802000},
      {"dp4a.s32.s32", {0xFF01FF01, 0x02020202, 10}, 10},
      {"add.rn.f16x2", {0x3C003C00, 0x3C004000}, 0x40004200},
      {"fma.rn.bf16x2", {0x3F803F80, 0x40004000, 0x3F80BF80}, 0x40403F80},
      {"copysign.f32", {0x80000000, 0x3F800000}, 0xBF800000},
  };
  for (const auto& v : kVectors) {
    EXPECT_EQ(expected_of(v.opcode, v.operands).bits, v.expected) << "reference for " << v.opcode;
    const Signature signature = signature_of(v.opcode);
    KernelRunner runner(entry_for(v.opcode, signature));
    std::vector<uint64_t> operands(32 * 4);
    for (size_t lane = 0; lane < 32; ++lane) std::copy(v.operands.begin(), v.operands.end(), &operands[4 * lane]);
    const uint64_t x = runner.buffer(operands), y = runner.unwritten<uint64_t>(32);
    const LaunchReport report = runner.run("apply", {1}, {32}, Arguments().add(x).add(y));
    EXPECT_EQ(findings_of(report), "");
    EXPECT_EQ(runner.read<uint64_t>(y, 32), std::vector<uint64_t>(32, v.expected))
        << v.opcode << std::hex << " 0x" << v.operands[0];
  }
}

}  // namespace
}  // namespace winnow::gpusim
