// The result of one PTX instruction for one lane, computed from its text. Tests take their expectations from this
// second implementation, which works lane by lane in wide integers and soft_float.h. It covers the instructions that
// compute a register from registers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace winnow::gpusim {

// Types of the registers that an opcode takes: "pred", or as in PTX.
struct Signature {
  std::string result;
  std::vector<std::string> operands;
};

struct Expected {
  uint64_t bits = 0;
  double tolerance = 0;  // relative to the magnitude, for approximate instructions; 0 = these very bits
};

std::vector<std::string> words_of(const std::string& opcode);  // "add.rn.f32" -> add, rn, f32
bool is_covered(const std::string& opcode);
Signature signature_of(const std::string& opcode);
Expected expected_of(const std::string& opcode, const std::vector<uint64_t>& operands);
uint32_t bits_of_type(const std::string& type);

}  // namespace winnow::gpusim
