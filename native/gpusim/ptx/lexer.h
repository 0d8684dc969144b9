// PTX text as tokens. Comments are dropped; a word keeps its dots: "cp.async.cg.shared.global", ".reg.b32", "%tid.x".
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace winnow::gpusim {

struct Token {
  enum Kind { kWord, kInteger, kFloat32, kFloat64, kString, kPunctuation, kEnd };
  Kind kind;
  std::string_view text;
  int line;
  uint64_t bits = 0;  // of a number: the integer (modulo 2^64) or the bits of the float
  bool is(char c) const { return kind == kPunctuation && text[0] == c; }
  bool is(std::string_view word) const { return kind == kWord && text == word; }
};

std::vector<Token> tokenize(std::string_view ptx);  // ends with kEnd; PtxError

}  // namespace winnow::gpusim
