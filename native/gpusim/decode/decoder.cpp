#include "decode/decoder.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "decode/expand.h"
#include "decode/mxcsr.h"
#include "decode/registers.h"

namespace winnow::gpusim {
namespace {

uint64_t align(uint64_t offset, uint64_t alignment) { return (offset + alignment - 1) / alignment * alignment; }

void add_symbols(const Operand& o, std::set<std::string>& names) {
  if (o.kind == Operand::kSymbol) names.insert(o.text);
  for (const Operand& e : o.elements) add_symbols(e, names);
}

// Places the kernel's parameters, its shared variables (its own and those of the module that it names) and its local
// ones.
Layout place_variables(const SyntaxTree& tree, const Function& f, const Layout& module_layout, Program& program) {
  Layout layout = module_layout;
  layout.variables.resize(f.variables.size());
  uint64_t parameter_end = 0, shared_end = kSharedBase, local_end = 0;
  for (const uint32_t p : f.parameters) {
    const Variable& v = f.variables[p];
    layout.variables[p] = align(parameter_end, v.alignment);
    parameter_end = layout.variables[p] + v.size_bytes;
    program.parameters.push_back(
        {static_cast<uint32_t>(layout.variables[p]), static_cast<uint32_t>(v.size_bytes), v.alignment});
  }
  uint64_t dynamic_alignment = 1;
  std::vector<std::string> dynamic;
  const auto place_shared = [&](const Variable& v) {
    const uint64_t offset = align(shared_end, v.alignment);
    shared_end = offset + v.size_bytes;
    return offset;
  };
  for (size_t i = 0; i < f.variables.size(); ++i) {
    const Variable& v = f.variables[i];
    if (std::find(f.parameters.begin(), f.parameters.end(), i) != f.parameters.end()) continue;
    if (v.space == StateSpace::kShared) {
      layout.variables[i] = place_shared(v);
    } else if (v.space == StateSpace::kLocal || v.space == StateSpace::kParam) {
      layout.variables[i] = align(local_end, std::max<uint64_t>(v.alignment, 8));
      local_end = layout.variables[i] + v.size_bytes;
    } else {
      throw PtxError(v.line, "variable " + v.name + ": only shared, local and parameter variables lie in a function");
    }
  }
  std::set<std::string> names;
  for (const Statement& s : f.statements) {
    for (const Operand& o : s.operands) add_symbols(o, names);
  }
  for (const Variable& v : tree.variables) {
    if (v.space != StateSpace::kShared || names.count(v.name) == 0) continue;
    layout.symbol_spaces[v.name] = AddressSpace::kShared;
    if (v.is_extern_array) {
      dynamic.push_back(v.name);
      dynamic_alignment = std::max<uint64_t>(dynamic_alignment, v.alignment);
    } else {
      layout.symbols[v.name] = place_shared(v);
    }
  }
  shared_end = align(shared_end, dynamic.empty() ? 1 : dynamic_alignment);
  for (const std::string& name : dynamic) layout.symbols[name] = shared_end;
  program.parameter_bytes = static_cast<uint32_t>(parameter_end);
  program.static_shared_bytes = static_cast<uint32_t>(shared_end - kSharedBase);
  program.local_bytes = static_cast<uint32_t>(align(local_end, 16));
  return layout;
}

// The instruction's type, or the one that the table names: "t", "t2", "w", "u32".
Type operand_type(std::string_view name, const Match& match) {
  if (name == "t") return match.type();
  if (name == "t2") return match.type(1);
  if (name == "w") {
    switch (match.type()) {
      case Type::kU16:
        return Type::kU32;
      case Type::kS16:
        return Type::kS32;
      case Type::kU32:
        return Type::kU64;
      default:
        return Type::kS64;
    }
  }
  return *parse_type("." + std::string(name));
}

// Binds operands as the form's operand column says: the first is the destination, the others are sources.
void encode_operands(Encoder& e, const Form& form, Match& match) {
  std::string_view rest = form.operands;
  size_t i = 0;
  for (; !rest.empty(); ++i) {
    const size_t end = std::min(rest.find(' '), rest.size());
    std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const auto flag = [&](char c) {
      if (word[0] != c) return false;
      word.remove_prefix(1);
      return true;
    };
    const bool wider = flag('+'), negatable = flag('!'), second = flag('=');
    const Operand& o = e.operand(i);
    match.widths[i] = e.register_bytes(o);
    const auto slot = static_cast<int>(i);
    if (negatable) {
      e.predicate(slot, o);
    } else if (i == 0 || second) {
      e.define(slot, o, operand_type(word, match), wider);
    } else {
      e.use(slot, o, operand_type(word, match), wider);
    }
  }
  e.require_operands(i, i);
}

void encode(Decoding& decoding, uint32_t index, const Statement& s) {
  Match match;
  const std::string_view opcode = s.callee.empty() ? s.opcode : std::string_view("call");
  const Form* form = find_form(opcode, match);
  if (form == nullptr) throw PtxError(s.line, "unsupported instruction " + std::string(s.opcode));
  Instruction& out = decoding.program.code[index];
  out.index = index;
  decoding.program.sites.push_back({s.line, s.source_file, s.source_line, s.source});
  Encoder encoder(decoding, index, s, match);
  out.guard = kAlways;
  // A branch reads its guard itself: it has to see the lanes that do not branch as well.
  const bool is_branch = s.opcode == "bra" || s.opcode == "bra.uni";
  if (s.guard >= 0 && !is_branch) {
    Operand guard(Operand::kRegister, static_cast<uint32_t>(s.guard));
    const Type type = decoding.function.registers[guard.index].type;
    if (type != Type::kPred) encoder.fail("the guard must be a predicate");
    out.guard = 0;  // not kAlways: assign_registers sees a guarded write
    out.guard_flip = s.guard_negated ? kAllLanes : 0;
  }
  if (form->encode != nullptr) {
    form->encode(encoder);
  } else {
    encode_operands(encoder, *form, match);
    out.immediate = mxcsr(match);
    out.run = form->select(match);
  }
  if (out.run == nullptr) throw PtxError(s.line, "unsupported instruction " + std::string(s.opcode));
  // A branch takes its guard as an operand and runs for all lanes.
  if (s.guard >= 0 && out.guard != kAlways) {
    decoding.references.push_back({index, &out.guard, static_cast<uint32_t>(s.guard), false});
  }
}

}  // namespace

std::unique_ptr<Program> decode(const SyntaxTree& tree, const Function& entry, const Layout& module_layout,
                                std::vector<PtxError>* refused) {
  const Function function = expand_calls(tree, entry);
  auto program = std::make_unique<Program>();
  program->name = entry.name;
  program->max_threads_per_block = entry.max_threads;
  program->required_block = entry.required_block;
  program->files = tree.files;
  // kAlways and kNever, then 64-bit zeros, at their fixed places.
  program->constants.assign((kZero64 & ~kConstantSlot) + 32 * 8, 0);
  std::memset(program->constants.data(), 0xFF, 4);
  const Layout layout = place_variables(tree, function, module_layout, *program);
  Decoding decoding{function, layout, *program, {}, {}, {}};
  program->code.resize(function.statements.size());
  decoding.flows.resize(function.statements.size());
  bool complete = true;
  for (uint32_t i = 0; i < function.statements.size(); ++i) {
    try {
      encode(decoding, i, function.statements[i]);
    } catch (const PtxError& error) {
      if (refused == nullptr) throw;
      refused->push_back(error);
      complete = false;
    }
  }
  if (!complete) return nullptr;
  assign_registers(decoding);
  return program;
}

}  // namespace winnow::gpusim
