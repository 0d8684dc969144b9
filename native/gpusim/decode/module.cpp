// Module::load: places the global variables, decodes every entry.
#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "decode/decoder.h"
#include "mem/allocation.h"
#include "ptx/syntax.h"

namespace winnow::gpusim {
namespace {

class LoadedModule : public Module {
 public:
  // With `refused`: see decode(). The entries that it holds something of are then not there.
  LoadedModule(std::string_view ptx, Memory& memory, std::vector<PtxError>* refused = nullptr)
      : text_(ptx), memory_(memory), tree_(parse(text_)) {
    place_globals();
    for (const auto& [name, function] : tree_.functions) {
      if (!function.is_entry || function.is_extern) continue;
      try {
        programs_.emplace(name, decode(tree_, function, layout_, refused));
      } catch (const PtxError& error) {  // of the entry as a whole
        if (refused == nullptr) throw;
        refused->push_back(error);
      }
    }
  }

  ~LoadedModule() override {
    for (const auto& [name, global] : globals_) memory_.free(global.address);
  }

  const Kernel* kernel(std::string_view name) const override {
    const auto found = programs_.find(name);
    return found == programs_.end() ? nullptr : found->second.get();
  }
  const Global* global(std::string_view name) const override {
    const auto found = globals_.find(name);
    return found == globals_.end() ? nullptr : &found->second;
  }
  std::vector<const Kernel*> kernels() const override {
    std::vector<const Kernel*> all;
    for (const auto& [name, program] : programs_) all.push_back(program.get());
    return all;
  }

  bool has_globals() const override { return !globals_.empty(); }

 private:
  void place_globals() {
    for (const Variable& v : tree_.variables) {
      if (v.space == StateSpace::kShared) continue;
      if (v.is_extern) throw PtxError(v.line, "variable " + v.name + " is external: modules are not linked");
      const uint64_t address = memory_.allocate(v.size_bytes);
      globals_[v.name] = {v.name, address, v.size_bytes};
      layout_.symbols[v.name] = address;
      layout_.symbol_spaces[v.name] = AddressSpace::kGlobal;
      memory_.fill(address, 0, v.size_bytes);  // PTX: without an initialiser, zero
      memory_.write(address, v.bytes.data(), v.bytes.size());
    }
    for (const Variable& v : tree_.variables) {
      for (const PointerInitialiser& p : v.pointers) {
        const auto target = globals_.find(p.symbol);
        if (target == globals_.end())
          throw PtxError(v.line, "the initialiser of " + v.name + " names unknown " + p.symbol);
        const uint64_t value = target->second.address + static_cast<uint64_t>(p.addend);
        memory_.write(globals_[v.name].address + p.offset, &value, p.width);
      }
    }
  }

  const std::string text_;
  Memory& memory_;
  SyntaxTree tree_;
  Layout layout_;
  std::map<std::string, Global, std::less<>> globals_;
  std::map<std::string, std::unique_ptr<Program>, std::less<>> programs_;
};

}  // namespace

std::unique_ptr<Module> Module::load(std::string_view ptx, Memory& memory) {
  return std::make_unique<LoadedModule>(ptx, memory);
}

std::vector<PtxError> find_unsupported(std::string_view ptx) {
  std::vector<PtxError> refused;
  Memory memory;
  try {
    LoadedModule(ptx, memory, &refused);
  } catch (const PtxError& error) {  // of the text or of its variables: nothing behind it has been looked at
    refused.push_back(error);
  }
  const auto before = [](const PtxError& a, const PtxError& b) {
    return std::make_pair(a.line(), std::string_view(a.what())) < std::make_pair(b.line(), std::string_view(b.what()));
  };
  const auto same = [&](const PtxError& a, const PtxError& b) { return !before(a, b) && !before(b, a); };
  std::sort(refused.begin(), refused.end(), before);  // a function that several entries call is decoded for each
  refused.erase(std::unique(refused.begin(), refused.end(), same), refused.end());
  return refused;
}

}  // namespace winnow::gpusim
