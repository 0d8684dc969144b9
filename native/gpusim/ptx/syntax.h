// A PTX module after parsing. Inside functions names are resolved: registers and variables are indices, so scopes,
// which may reuse a name, are gone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "gpusim.h"
#include "ptx/types.h"

namespace winnow::gpusim {

enum class StateSpace : uint8_t { kReg, kGlobal, kConst, kShared, kLocal, kParam };

// `= generic(table)` or `= table + 4` inside an initialiser.
struct PointerInitialiser {
  uint64_t offset;
  uint32_t width;
  std::string symbol;
  int64_t addend;
};

struct Variable {
  std::string name;
  StateSpace space;
  uint32_t alignment;
  uint64_t size_bytes;
  bool is_extern_array = false;  // extern .shared x[]: begins where the static variables end
  bool is_extern = false;
  std::vector<uint8_t> bytes;  // initialiser; shorter than size_bytes: the rest is zero
  std::vector<PointerInitialiser> pointers;
  int line;
};

struct Operand {
  enum Kind {
    kRegister,   // index; negated for !%p
    kSpecial,    // %tid.x: text
    kImmediate,  // bits, type of the literal in `literal`
    kVariable,   // the function's variable `index`, plus `offset`
    kSymbol,     // a module variable or function, plus `offset`
    kLabel,      // index into Function::labels
    kMemory,     // [base + offset]: elements[0] is the base
    kVector,     // {a, b, c, d}
    kSink,       // _
  };
  enum Literal { kInteger, kFloat32, kFloat64 };
  explicit Operand(Kind kind, uint32_t index = 0) : kind(kind), index(index) {}
  Kind kind;
  uint32_t index;
  bool negated = false;
  Literal literal = kInteger;
  uint64_t bits = 0;
  int64_t offset = 0;
  std::string text;
  std::vector<Operand> elements;
};

// Files by their number in the PTX.
struct SourcePoint {
  int file, line, column;
  bool operator<(const SourcePoint& other) const {
    return std::tie(file, line, column) < std::tie(other.file, other.line, other.column);
  }
};

struct Statement {
  std::string_view opcode;  // with its modifiers: "add.rn.f32"
  int line;
  std::vector<SourcePoint> source;       // its own, then the calls that led to it, inlined or not; empty without .loc
  int source_file = 0, source_line = 0;  // the point of these that findings name
  int guard = -1;                        // a predicate register
  bool guard_negated = false;
  std::vector<Operand> operands;
  // call only
  std::vector<Operand> returns;
  std::string callee;
};

struct Label {
  std::string name;
  int position = -1;         // index of the statement that follows
  std::vector<int> targets;  // .branchtargets: labels
};

struct Register {
  std::string name;
  Type type;
};

struct Function {
  std::string name;
  bool is_entry = false, is_extern = false;
  int line;
  std::vector<uint32_t> returns, parameters;  // variables
  std::vector<Register> registers;
  std::vector<Variable> variables;
  std::vector<Label> labels;
  std::vector<Statement> statements;
  uint32_t max_threads = 0;
  Dim3 required_block{0, 0, 0};
};

struct SyntaxTree {
  std::string target;  // "sm_80"
  std::vector<Variable> variables;
  std::map<std::string, Function, std::less<>> functions;
  std::vector<std::string> files;  // by .file number
};

SyntaxTree parse(std::string_view ptx);  // PtxError; the tree refers to the text

}  // namespace winnow::gpusim
