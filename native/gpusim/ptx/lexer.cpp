#include "ptx/lexer.h"

#include <cctype>
#include <cstring>
#include <string>

#include "gpusim.h"

namespace winnow::gpusim {
namespace {

bool starts_word(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.';
}
bool continues_word(char c) { return starts_word(c) || std::isdigit(static_cast<unsigned char>(c)); }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    std::vector<Token> tokens;
    for (skip(); position_ < text_.size() && text_[position_] != '\0'; skip()) tokens.push_back(next());
    tokens.push_back({Token::kEnd, "end of file", line_});
    return tokens;
  }

 private:
  char at(size_t offset) const { return position_ + offset < text_.size() ? text_[position_ + offset] : '\0'; }

  void skip() {
    for (;;) {
      if (at(0) == '\n') ++line_;
      if (at(0) == ' ' || at(0) == '\t' || at(0) == '\r' || at(0) == '\n') {
        ++position_;
      } else if (at(0) == '/' && at(1) == '/') {
        while (position_ < text_.size() && text_[position_] != '\n') ++position_;
      } else if (at(0) == '/' && at(1) == '*') {
        while (position_ < text_.size() && !(at(0) == '*' && at(1) == '/')) line_ += text_[position_++] == '\n';
        position_ += 2;
      } else {
        return;
      }
    }
  }

  Token next() {
    const size_t begin = position_;
    if (std::isdigit(static_cast<unsigned char>(at(0)))) return number();
    if (starts_word(at(0))) {
      ++position_;
      while (continues_word(at(0)) || (at(0) == ':' && at(1) == ':')) position_ += at(0) == ':' ? 2 : 1;
      return {Token::kWord, text_.substr(begin, position_ - begin), line_};
    }
    if (at(0) == '"') {
      ++position_;
      while (position_ < text_.size() && at(0) != '"' && at(0) != '\n') position_ += at(0) == '\\' ? 2 : 1;
      if (at(0) != '"') throw PtxError(line_, "a string does not end");
      return {Token::kString, text_.substr(begin + 1, position_++ - begin - 1), line_};
    }
    ++position_;
    if (std::strchr(",;:()[]{}<>=+-!|@&~*", text_[begin]) == nullptr) {
      throw PtxError(line_, std::string("unexpected character ") + text_[begin]);
    }
    return {Token::kPunctuation, text_.substr(begin, 1), line_};
  }

  Token number() {
    const size_t begin = position_;
    if (at(0) == '0' && std::strchr("fFdD", at(1)) != nullptr) {  // the bits of a float in hexadecimal
      const bool is_double = at(1) == 'd' || at(1) == 'D';
      position_ += 2;
      const uint64_t bits = digits(16);
      if (position_ - begin != (is_double ? 18u : 10u)) throw PtxError(line_, "a float constant has the wrong length");
      return {is_double ? Token::kFloat64 : Token::kFloat32, text_.substr(begin, position_ - begin), line_, bits};
    }
    uint64_t bits;
    if (at(0) == '0' && (at(1) == 'x' || at(1) == 'X')) {
      position_ += 2;
      bits = digits(16);
    } else if (at(0) == '0' && (at(1) == 'b' || at(1) == 'B')) {
      position_ += 2;
      bits = digits(2);
    } else {
      bits = digits(at(0) == '0' ? 8 : 10);
    }
    if (at(0) == 'U') ++position_;
    if (continues_word(at(0)) && at(0) != '.')
      throw PtxError(line_, "decimal float constants are not supported, use 0f or 0d");
    return {Token::kInteger, text_.substr(begin, position_ - begin), line_, bits};
  }

  uint64_t digits(int base) {
    uint64_t value = 0;
    for (;; ++position_) {
      const char c = static_cast<char>(std::tolower(at(0)));
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
      if (digit >= base) return value;
      value = value * static_cast<uint64_t>(base) + static_cast<uint64_t>(digit);
    }
  }

  std::string_view text_;
  size_t position_ = 0;
  int line_ = 1;
};

}  // namespace

std::vector<Token> tokenize(std::string_view ptx) { return Lexer(ptx).run(); }

}  // namespace winnow::gpusim
