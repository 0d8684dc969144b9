#include "ptx/variable_parser.h"

#include <utility>

namespace winnow::gpusim {

StateSpace VariableParser::state_space() {
  constexpr std::pair<std::string_view, StateSpace> kSpaces[] = {{".global", StateSpace::kGlobal},
                                                                 {".const", StateSpace::kConst},
                                                                 {".shared", StateSpace::kShared},
                                                                 {".local", StateSpace::kLocal},
                                                                 {".param", StateSpace::kParam}};
  for (const auto& [name, space] : kSpaces) {
    if (accept_directive(name)) {
      declared_ = {};
      return space;
    }
  }
  return StateSpace::kReg;
}

Variable VariableParser::variable(StateSpace space, bool is_extern) {
  for (; !directive().empty();) {
    if (accept_directive(".align")) {
      declared_.alignment = static_cast<uint32_t>(integer());
    } else if (accept_directive(".ptr") || accept_directive(".global") || accept_directive(".const") ||
               accept_directive(".shared") || accept_directive(".local") || accept_directive(".attribute")) {
      if (accept('(')) fail("variable attributes are not supported");
    } else if (accept_directive(".v2")) {
      declared_.vector = 2;
    } else if (accept_directive(".v4")) {
      declared_.vector = 4;
    } else if (const auto type = parse_type(directive())) {
      declared_.element_bytes = gpusim::size_bytes(*type);
      next_directive();
    } else {
      fail("unsupported directive " + std::string(directive()));
    }
  }
  Variable v;
  v.space = space;
  v.line = peek().line;
  v.name = word();
  v.is_extern = is_extern;
  const uint32_t element = declared_.element_bytes * declared_.vector;
  v.alignment = declared_.alignment != 0 ? declared_.alignment : element;
  uint64_t count = 1;
  while (accept('[')) {
    if (peek().is(']')) {
      v.is_extern_array = true;
    } else {
      count *= integer();
    }
    expect(']');
  }
  v.size_bytes = v.is_extern_array ? 0 : count * element;
  if (accept('=')) initialiser(v, declared_.element_bytes);
  return v;
}

void VariableParser::initialiser(Variable& v, uint32_t width) {
  if (accept('{')) {
    if (!peek().is('}')) {
      do initialiser(v, width);
      while (accept(','));
    }
    expect('}');
    return;
  }
  uint64_t bits = 0;
  if (peek().kind == Token::kWord) {
    PointerInitialiser pointer{v.bytes.size(), width, "", 0};
    const bool generic = peek().text == "generic" && peek(1).is('(');
    if (generic) {
      take();
      take();
    }
    pointer.symbol = word();
    if (generic) expect(')');
    if (accept('+')) pointer.addend = static_cast<int64_t>(integer());
    v.pointers.push_back(pointer);
  } else if (peek().kind == Token::kFloat32 || peek().kind == Token::kFloat64) {
    bits = take().bits;
  } else {
    bits = integer();
  }
  for (uint32_t i = 0; i < width; ++i) v.bytes.push_back(static_cast<uint8_t>(bits >> (8 * i)));
  if (v.bytes.size() > v.size_bytes) fail("the initialiser of " + v.name + " is longer than the variable");
}

}  // namespace winnow::gpusim
