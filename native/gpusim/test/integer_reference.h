// The part of opcode_reference.h that computes with integers and bits, in 128 bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace winnow::gpusim {

__extension__ using Int = __int128;
using Words = std::vector<std::string>;  // of an opcode, see words_of

using Words = std::vector<std::string>;

inline bool has(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}
inline bool is_signed(const std::string& type) { return type[0] == 's'; }

Int integer(const std::string& type, uint64_t bits);  // the value of an integer register of this type
Int lowest(const std::string& type);
Int highest(const std::string& type);
uint64_t truncated(Int value, uint32_t width);

// Results of the instructions: arithmetic, logic and shifts, dp4a and dp2a.
uint64_t integer_result(const std::string& type, const Words& words, const std::vector<uint64_t>& in);
uint64_t bits_result(const Words& words, const std::vector<uint64_t>& in);
uint64_t dot_result(const Words& words, const std::vector<uint64_t>& in);

}  // namespace winnow::gpusim
