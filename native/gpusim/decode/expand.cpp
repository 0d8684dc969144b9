#include "decode/expand.h"

#include <algorithm>

#include "gpusim.h"

namespace winnow::gpusim {
namespace {

// Where one copy of a function's names begins in the expanded function.
struct Frame {
  uint32_t first_register, first_label;
  std::vector<uint32_t> variables;
  int return_label;                      // -1 in the entry: ret ends the thread
  std::vector<SourcePoint> called_from;  // Statement::source of the call
};

class Expansion {
 public:
  explicit Expansion(const SyntaxTree& tree) : tree_(tree) {}

  Function run(const Function& entry) {
    to_.name = entry.name;
    to_.is_entry = true;
    to_.line = entry.line;
    to_.parameters = entry.parameters;
    append(entry, enter(entry, {}, {}, -1, {}));
    Statement end;  // control may not leave the code: a kernel's last instruction can be a branch or trap
    end.opcode = "ret";
    end.line = entry.line;
    to_.statements.push_back(end);
    return std::move(to_);
  }

 private:
  Frame enter(const Function& f, const std::vector<Operand>& arguments, const std::vector<Operand>& returns,
              int return_label, const std::vector<SourcePoint>& called_from) {
    Frame frame{static_cast<uint32_t>(to_.registers.size()),
                static_cast<uint32_t>(to_.labels.size()),
                {},
                return_label,
                called_from};
    to_.registers.insert(to_.registers.end(), f.registers.begin(), f.registers.end());
    to_.labels.insert(to_.labels.end(), f.labels.begin(), f.labels.end());
    for (uint32_t i = frame.first_label; i < to_.labels.size(); ++i) {
      for (int& target : to_.labels[i].targets) target += static_cast<int>(frame.first_label);
    }
    frame.variables.resize(f.variables.size(), UINT32_MAX);
    for (size_t i = 0; i < arguments.size(); ++i) frame.variables[f.parameters[i]] = arguments[i].index;
    for (size_t i = 0; i < returns.size(); ++i) frame.variables[f.returns[i]] = returns[i].index;
    for (size_t i = 0; i < f.variables.size(); ++i) {
      if (frame.variables[i] != UINT32_MAX) continue;
      frame.variables[i] = static_cast<uint32_t>(to_.variables.size());
      to_.variables.push_back(f.variables[i]);
    }
    return frame;
  }

  void append(const Function& f, const Frame& frame) {
    if (std::find(stack_.begin(), stack_.end(), &f) != stack_.end()) {
      throw PtxError(f.line, "recursion is not supported: " + f.name);
    }
    stack_.push_back(&f);
    for (size_t i = 0; i <= f.statements.size(); ++i) {
      for (size_t l = 0; l < f.labels.size(); ++l) {
        if (f.labels[l].position == static_cast<int>(i)) to_.labels[frame.first_label + l].position = here();
      }
      if (i < f.statements.size()) append(f.statements[i], frame);
    }
    stack_.pop_back();
  }

  void append(const Statement& original, const Frame& frame) {
    Statement s = original;
    if (s.guard >= 0) s.guard += static_cast<int>(frame.first_register);
    if (!s.source.empty()) s.source.insert(s.source.end(), frame.called_from.begin(), frame.called_from.end());
    for (auto* list : {&s.operands, &s.returns}) {
      for (Operand& o : *list) rename(o, frame);
    }
    if ((s.opcode == "ret" || s.opcode == "ret.uni") && frame.return_label >= 0) {
      s.opcode = "bra";
      s.operands.assign(1, Operand(Operand::kLabel, static_cast<uint32_t>(frame.return_label)));
    }
    if (s.callee.empty()) {
      to_.statements.push_back(std::move(s));
    } else {
      call(s);
    }
  }

  void call(const Statement& s) {
    const auto found = tree_.functions.find(s.callee);
    if (found == tree_.functions.end()) throw PtxError(s.line, "call of unknown function " + s.callee);
    const Function& callee = found->second;
    if (callee.statements.empty()) {
      to_.statements.push_back(s);
      return;
    }
    if (callee.parameters.size() != s.operands.size() || callee.returns.size() != s.returns.size()) {
      throw PtxError(s.line, "call of " + s.callee + " with another number of arguments than it has");
    }
    for (const auto* list : {&s.operands, &s.returns}) {
      for (const Operand& o : *list) {
        if (o.kind != Operand::kVariable) throw PtxError(s.line, "arguments of a call must be .param variables");
      }
    }
    const int after = new_label();
    if (s.guard >= 0) {
      Statement skip = s;
      skip.opcode = "bra";
      skip.callee.clear();
      skip.returns.clear();
      skip.guard_negated = !s.guard_negated;
      skip.operands.assign(1, Operand(Operand::kLabel, static_cast<uint32_t>(after)));
      to_.statements.push_back(skip);
    }
    append(callee, enter(callee, s.operands, s.returns, after, s.source));
    to_.labels[static_cast<size_t>(after)].position = here();
  }

  void rename(Operand& o, const Frame& frame) const {
    if (o.kind == Operand::kRegister) o.index += frame.first_register;
    if (o.kind == Operand::kLabel) o.index += frame.first_label;
    if (o.kind == Operand::kVariable) o.index = frame.variables[o.index];
    for (Operand& element : o.elements) rename(element, frame);
  }

  int here() const { return static_cast<int>(to_.statements.size()); }
  int new_label() {
    to_.labels.push_back({});
    return static_cast<int>(to_.labels.size() - 1);
  }

  const SyntaxTree& tree_;
  Function to_;
  std::vector<const Function*> stack_;
};

}  // namespace

Function expand_calls(const SyntaxTree& tree, const Function& entry) { return Expansion(tree).run(entry); }

}  // namespace winnow::gpusim
