// The names of one function: registers, variables and labels, by the pair of braces that declares them.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "ptx/syntax.h"

namespace winnow::gpusim {

class Scopes {
 public:
  // One pair is open from the start: parameters belong to it.
  void open() { scopes_.emplace_back(); }
  void close();

  void add_register(const std::string& name, uint32_t index) { scopes_.back().registers[name] = index; }
  void add_variable(const std::string& name, uint32_t index) { scopes_.back().variables[name] = index; }
  void add_label(const std::string& name, uint32_t index) { scopes_.back().labels[name] = index; }

  // A register, a variable, a sink; a special register or a symbol of the module if no open scope declares the name.
  Operand find(const std::string& name) const;

  // Labels may be used before they are declared: each use gets a number of its own, tied to the declaration when the
  // innermost scope that declares the name closes.
  uint32_t use_label(const std::string& name, int line);
  uint32_t label(uint32_t use) const;  // once all scopes are closed; PtxError if there is none

 private:
  struct Scope {
    std::unordered_map<std::string, uint32_t> registers, variables, labels;
  };
  struct LabelUse {
    std::string name;
    size_t depth;
    int label;  // -1: not found so far
    int line;
  };

  std::vector<Scope> scopes_{1};
  std::vector<LabelUse> label_uses_;
};

}  // namespace winnow::gpusim
