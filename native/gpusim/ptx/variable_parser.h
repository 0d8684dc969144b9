// Parses declarations of variables, which modules, parameter lists and function bodies have alike:
// ".global .align 4 .b8 table[16] = {1, 2}".
#pragma once

#include <string_view>

#include "ptx/syntax.h"
#include "ptx/token_stream.h"

namespace winnow::gpusim {

class VariableParser : protected TokenStream {
 protected:
  explicit VariableParser(std::string_view ptx) : TokenStream(ptx) {}

  // The state space that a declaration begins with; kReg if another token comes next.
  StateSpace state_space();
  // ".align 4 .b8 table[16] = {1, 2}"; after a comma only the name and what follows it.
  Variable variable(StateSpace space, bool is_extern);

 private:
  void initialiser(Variable& v, uint32_t width);

  struct Declared {
    uint32_t alignment = 0, element_bytes = 4, vector = 1;
  };
  Declared declared_;
};

}  // namespace winnow::gpusim
