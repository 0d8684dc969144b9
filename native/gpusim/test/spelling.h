// All that a table of the decoder accepts.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "decode/form.h"

namespace winnow::gpusim {

// All spellings of a pattern of decode/form.h.
inline void spell(const std::string& pattern, const std::string& before, std::vector<std::string>& opcodes) {
  const size_t open = pattern.find_first_of("({");
  if (open == std::string::npos) {
    opcodes.push_back(before + pattern);
    return;
  }
  const size_t close = pattern.find(pattern[open] == '(' ? ')' : '}', open);
  const std::string start = before + pattern.substr(0, open), rest = pattern.substr(close + 1);
  if (pattern[open] == '{') spell(rest, start, opcodes);
  for (size_t begin = open + 1; begin < close;) {
    const size_t end = std::min(pattern.find(',', begin), close);
    spell(rest, start + pattern.substr(begin, end - begin), opcodes);
    begin = end + 1;
  }
}

inline std::vector<std::string> spellings(const Forms& forms) {
  std::vector<std::string> opcodes;
  for (const Form& form : forms) spell(form.pattern, "", opcodes);
  return opcodes;
}

}  // namespace winnow::gpusim
