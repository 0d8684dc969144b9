#include "ptx/scopes.h"

namespace winnow::gpusim {

void Scopes::close() {
  const size_t depth = scopes_.size();
  for (LabelUse& use : label_uses_) {
    if (use.label >= 0 || use.depth < depth) continue;
    const auto found = scopes_.back().labels.find(use.name);
    if (found != scopes_.back().labels.end()) {
      use.label = static_cast<int>(found->second);
    } else {
      use.depth = depth - 1;
    }
  }
  scopes_.pop_back();
}

Operand Scopes::find(const std::string& name) const {
  Operand o(Operand::kSink);
  o.text = name;
  if (name == "_") return o;
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto r = scope->registers.find(name); r != scope->registers.end()) {
      o.kind = Operand::kRegister;
      o.index = r->second;
      return o;
    }
    if (const auto v = scope->variables.find(name); v != scope->variables.end()) {
      o.kind = Operand::kVariable;
      o.index = v->second;
      return o;
    }
  }
  o.kind = name[0] == '%' || name == "WARP_SZ" ? Operand::kSpecial : Operand::kSymbol;
  return o;
}

uint32_t Scopes::use_label(const std::string& name, int line) {
  label_uses_.push_back({name, scopes_.size(), -1, line});
  return static_cast<uint32_t>(label_uses_.size() - 1);
}

uint32_t Scopes::label(uint32_t use) const {
  const LabelUse& found = label_uses_[use];
  if (found.label < 0) throw PtxError(found.line, "there is no label " + found.name);
  return static_cast<uint32_t>(found.label);
}

}  // namespace winnow::gpusim
