// Runs a few instructions on one block of 32 threads, each with input and output of its own.
#pragma once

#include "kernel_runner.h"

namespace winnow::gpusim {

constexpr const char* kHead = ".version 8.6\n.target sm_80\n.address_size 64\n";

// Blocks of 32 threads, which all do the same. `body` finds %tid in %t, its 32 bytes of input at [%x], its 32 bytes of
// output at [%y], 64 bytes of zeros for all at [%z], and registers %r (b32), %w (b64), %h (b16), %f (f32), %e (f64), %p
// (pred), 16 each.
struct Executed {
  LaunchReport report;
  std::vector<uint8_t> output, common;
  uint64_t at(int lane, int word = 0) const {
    uint64_t value;
    std::memcpy(&value, &output[static_cast<size_t>(lane) * 32 + static_cast<size_t>(word) * 8], 8);
    return value;
  }
};
inline Executed execute_body(const std::string& body, const std::vector<uint64_t>& input,
                             const std::string& declarations = "", const Options& options = {},
                             uint32_t num_blocks = 1) {
  KernelRunner runner(std::string(kHead) + ".visible .entry body(.param .u64 p0, .param .u64 p1, .param .u64 p2)\n{\n" +
                      declarations +
                      ".reg .b32 %t, %r<16>;\n.reg .b64 %x, %y, %z, %o, %w<16>;\n.reg .b16 %h<16>;\n.reg .f32 "
                      "%f<16>;\n.reg .f64 %e<16>;\n"
                      ".reg .pred %p<16>;\nld.param.u64 %x, [p0];\nld.param.u64 %y, [p1];\nld.param.u64 %z, "
                      "[p2];\nmov.u32 %t, %tid.x;\n"
                      "mul.wide.u32 %o, %t, 32;\nadd.s64 %x, %x, %o;\nadd.s64 %y, %y, %o;\n" +
                      body + "ret;\n}\n");
  runner.options = options;
  std::vector<uint64_t> padded(128);
  for (size_t i = 0; i < input.size(); ++i) padded[i] = input[i];
  const uint64_t x = runner.buffer(padded), y = runner.buffer(std::vector<uint8_t>(1024)),
                 z = runner.buffer(std::vector<uint8_t>(64));
  Executed run;
  run.report = runner.run("body", {num_blocks}, {32}, Arguments().add(x).add(y).add(z));
  run.output = runner.read<uint8_t>(y, 1024);
  run.common = runner.read<uint8_t>(z, 64);
  return run;
}
// Nothing may be found.
inline Executed run_body(const std::string& body, const std::vector<uint64_t>& input,
                         const std::string& declarations = "", const Options& options = {}, uint32_t num_blocks = 1) {
  Executed run = execute_body(body, input, declarations, options, num_blocks);
  EXPECT_EQ(findings_of(run.report), "") << body;
  return run;
}

inline std::vector<uint64_t> pattern() {  // 32 bytes per lane, bytes of both signs
  std::vector<uint64_t> words(128);
  for (size_t i = 0; i < 128; ++i) words[i] = 0x9E3779B97F4A7C15 * (i + 1) ^ (i << 60);
  return words;
}

}  // namespace winnow::gpusim
