// The tokens of a PTX text, read one after the other. Parsers derive from it and ask for what must come next.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "gpusim.h"
#include "ptx/lexer.h"

namespace winnow::gpusim {

class TokenStream {
 protected:
  explicit TokenStream(std::string_view ptx) : tokens_(tokenize(ptx)) {}

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(position_ + ahead, tokens_.size() - 1)]; }
  const Token& take() { return tokens_[position_ + 1 < tokens_.size() ? position_++ : position_]; }
  bool accept(char c) {
    if (!peek().is(c)) return false;
    take();
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(std::string("expected ") + c + ", found " + std::string(peek().text));
  }
  std::string word() {
    if (peek().kind != Token::kWord) fail("expected a name, found " + std::string(peek().text));
    return std::string(take().text);
  }
  uint64_t integer() {
    const bool negative = accept('-');
    if (peek().kind != Token::kInteger) fail("expected an integer, found " + std::string(peek().text));
    const uint64_t bits = take().bits;
    return negative ? -bits : bits;
  }
  [[noreturn]] void fail(const std::string& found) const { throw PtxError(peek().line, found); }

  // A run of directives, ".extern .shared .align 16 .b8" or ".reg.b32", part by part; the position stays at the first
  // other token.
  std::string_view directive() {
    if (!parts_.empty()) return parts_.front();
    if (peek().kind != Token::kWord || peek().text[0] != '.') return {};
    for (std::string_view rest = take().text; !rest.empty();) {
      const size_t end = std::min(rest.find('.', 1), rest.size());
      parts_.push_back(rest.substr(0, end));
      rest.remove_prefix(end);
    }
    return parts_.front();
  }
  void next_directive() { parts_.erase(parts_.begin()); }
  bool accept_directive(std::string_view name) {
    if (directive() != name) return false;
    next_directive();
    return true;
  }

 private:
  std::vector<Token> tokens_;
  size_t position_ = 0;
  std::vector<std::string_view> parts_;
};

}  // namespace winnow::gpusim
