// The strict decoder's tables. One Form is one line: what the PTX text may say, which operands follow and which handler
// executes it.
//
// Pattern: the opcode with its modifiers in order; (.a,.b) exactly one of these; {.a,.b} one of these or none. A
// modifier that no pattern permits makes the instruction unsupported, at load.
//
// Operands, destination first; each a type that fixes the register's width:
//   t      the type that the last group chose          t2   the type that the last group but one chose
//   w      twice the width of t                        u32, f64, pred ...  that type
//   +t     t, or a wider register (ld, st and cvt permit it: the handler is told the widths)
//   !pred  a predicate that may be negated
// After the first word, `=` in front of an operand makes it a second destination, `?` one that may be left out.
#pragma once

#include <string_view>
#include <vector>

#include "decode/program.h"
#include "ptx/types.h"

namespace winnow::gpusim {

class Encoder;

struct Match {
  std::string_view groups[16];  // what each group chose, in order; empty = left out
  int num_groups = 0;
  uint32_t widths[8] = {};  // bytes per lane of each operand's register
  bool has(std::string_view modifier) const;
  std::string_view last(int back = 0) const { return groups[num_groups - 1 - back]; }
  Type type(int back = 0) const { return *parse_type(last(back)); }
};

struct Form {
  const char* pattern;
  const char* operands;             // null: `encode` does all
  Handler (*select)(const Match&);  // null result: unsupported after all
  void (*encode)(Encoder&) = nullptr;
};

using Forms = std::vector<Form>;

// One table per family, each beside its handlers in exec/.
const Forms& integer_forms();
const Forms& carry_forms();
const Forms& bit_forms();
const Forms& float_forms();
const Forms& half_forms();
const Forms& approximate_forms();
const Forms& compare_forms();
const Forms& convert_forms();
const Forms& move_forms();
const Forms& memory_forms();
const Forms& atomic_forms();
const Forms& async_copy_forms();
const Forms& control_forms();
const Forms& warp_forms();
const Forms& matrix_forms();

// The form whose pattern takes the whole opcode; null when there is none.
const Form* find_form(std::string_view opcode, Match& match);

}  // namespace winnow::gpusim
