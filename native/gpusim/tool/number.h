// Numbers of the command line: the whole word or std::invalid_argument with the word.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace winnow::gpusim {

template <typename Parse>
auto parse_whole(const char* expected, const std::string& text, Parse parse) {
  size_t used = 0;
  try {
    const auto value = parse(text, &used);
    if (used == text.size()) return value;
  } catch (const std::logic_error&) {  // no number, or out of range
  }
  throw std::invalid_argument(std::string("expected ") + expected + ", found '" + text + "'");
}

inline uint64_t parse_unsigned(const std::string& text, uint64_t most = ~uint64_t{0}) {
  return parse_whole("a number that is not negative", text, [&](const std::string& t, size_t* used) -> uint64_t {
    if (t.find('-') != std::string::npos) return 0;  // stoull would wrap it around
    const uint64_t value = std::stoull(t, used, 0);
    if (value > most) throw std::out_of_range(t);
    return value;
  });
}
inline int64_t parse_signed(const std::string& text) {
  return parse_whole("an integer", text,
                     [](const std::string& t, size_t* used) -> int64_t { return std::stoll(t, used, 0); });
}
inline double parse_float(const std::string& text) {
  return parse_whole("a number", text, [](const std::string& t, size_t* used) { return std::stod(t, used); });
}

}  // namespace winnow::gpusim
