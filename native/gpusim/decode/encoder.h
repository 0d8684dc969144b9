// Turns the operands of one statement into an instruction's slots.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "decode/form.h"
#include "decode/program.h"
#include "ptx/syntax.h"

namespace winnow::gpusim {

// Where variables lie: addresses of the module's, offsets of the kernel's own.
struct Layout {
  std::map<std::string, uint64_t, std::less<>>
      symbols;  // global and const: addresses; module-wide shared: shared addresses
  std::map<std::string, AddressSpace, std::less<>> symbol_spaces;
  std::vector<uint64_t> variables;  // by index in the expanded function
};

// A place in the code that names a register; the register's slot is chosen later.
struct Reference {
  uint32_t instruction;
  Slot* slot;  // in Instruction::op or in a list
  uint32_t reg;
  bool defines;
};

// How control leaves an instruction.
struct Flow {
  std::vector<uint32_t> targets;
  bool falls_through = true;
};

struct Decoding {
  const Function& function;  // expanded
  const Layout& layout;
  Program& program;
  std::map<std::pair<uint64_t, uint32_t>, Slot> constants;  // bits and width
  std::vector<Reference> references;
  std::vector<Flow> flows;

  Slot constant(uint64_t bits, uint32_t width);
};

uint32_t storage_bytes(Type register_type);  // per lane: 2, 4 or 8; 0 for predicates

class Encoder {
 public:
  Encoder(Decoding& decoding, uint32_t index, const Statement& statement, const Match& match)
      : statement(statement), match(match), out(decoding.program.code[index]), decoding_(decoding), index_(index) {}

  const Statement& statement;
  const Match& match;
  Instruction& out;

  const Operand& operand(size_t i) const;
  size_t num_operands() const { return statement.operands.size(); }
  void require_operands(size_t least, size_t most) const;

  // op[i] = the operand, read as or written as `type`; the register's width must be the type's, or larger if `wider`.
  void use(int i, const Operand& operand, Type type, bool wider = false) {
    bind(&out.op[i], operand, type, wider, false);
  }
  void define(int i, const Operand& operand, Type type, bool wider = false) {
    bind(&out.op[i], operand, type, wider, true);
  }
  // list = the operand's elements (or the operand itself), followed by those added before.
  void use_list(const Operand& operand, Type type, bool wider = false) { bind_list(operand, type, wider, false); }
  void define_list(const Operand& operand, Type type, bool wider = false) { bind_list(operand, type, wider, true); }
  // op[i], immediate, space and address_bytes = the memory operand.
  void address(int i, const Operand& operand, AddressSpace space);
  void predicate(int i, const Operand& operand);  // may be negated: then bit `i` of flags is set
  uint64_t integer(const Operand& operand) const;
  uint32_t target(const Operand& label) const;
  uint32_t register_bytes(const Operand& operand) const;  // storage; 0 if no register
  uint64_t variable_address(const Operand& operand, AddressSpace* space) const;
  bool is_kernel_parameter(uint32_t variable) const;
  void new_cache() { out.cache = decoding_.program.num_caches++; }
  void branches_to(std::vector<uint32_t> targets, bool falls_through);
  Program& program() { return decoding_.program; }
  const Function& function() const { return decoding_.function; }
  [[noreturn]] void fail(const std::string& found) const;

 private:
  void bind(Slot* slot, const Operand& operand, Type type, bool wider, bool defines);
  void bind_list(const Operand& operand, Type type, bool wider, bool defines);
  Decoding& decoding_;
  uint32_t index_;
};

}  // namespace winnow::gpusim
