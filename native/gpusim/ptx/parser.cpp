#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include "gpusim.h"
#include "ptx/lexer.h"
#include "ptx/syntax.h"

namespace winnow::gpusim {
namespace {

// Names declared between one pair of braces.
struct Scope {
  std::unordered_map<std::string, uint32_t> registers, variables, labels;
};

class Parser {
 public:
  explicit Parser(std::string_view ptx) : tokens_(tokenize(ptx)) {}

  SyntaxTree run() {
    while (peek().kind != Token::kEnd) module_item();
    for (auto& [name, function] : tree_.functions) {
      for (Statement& s : function.statements) choose_location(s);
    }
    return std::move(tree_);
  }

 private:
  // ---- tokens
  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(position_ + ahead, tokens_.size() - 1)]; }
  const Token& take() { return tokens_[position_ + 1 < tokens_.size() ? position_++ : position_]; }
  bool accept(char c) {
    if (!peek().is(c)) return false;
    take();
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(std::string("expected ") + c + ", found " + std::string(peek().text));
  }
  std::string word() {
    if (peek().kind != Token::kWord) fail("expected a name, found " + std::string(peek().text));
    return std::string(take().text);
  }
  uint64_t integer() {
    const bool negative = accept('-');
    if (peek().kind != Token::kInteger) fail("expected an integer, found " + std::string(peek().text));
    const uint64_t bits = take().bits;
    return negative ? -bits : bits;
  }
  [[noreturn]] void fail(const std::string& found) const { throw PtxError(peek().line, found); }

  // A run of directives, ".extern .shared .align 16 .b8" or ".reg.b32", part by part; the position stays at the first
  // other token.
  std::string_view directive() {
    if (!parts_.empty()) return parts_.front();
    if (peek().kind != Token::kWord || peek().text[0] != '.') return {};
    for (std::string_view rest = take().text; !rest.empty();) {
      const size_t end = std::min(rest.find('.', 1), rest.size());
      parts_.push_back(rest.substr(0, end));
      rest.remove_prefix(end);
    }
    return parts_.front();
  }
  void next_directive() { parts_.erase(parts_.begin()); }
  bool accept_directive(std::string_view name) {
    if (directive() != name) return false;
    next_directive();
    return true;
  }

  // ---- module
  void module_item() {
    if (accept_directive(".version")) {
      integer();
      word();  // ".0" of 9.0
    } else if (accept_directive(".target")) {
      tree_.target = word();
      while (accept(',')) word();
    } else if (accept_directive(".address_size")) {
      if (integer() != 64) fail("only 64-bit addresses are supported");
    } else if (accept_directive(".file")) {
      const size_t number = integer();
      if (tree_.files.size() <= number) tree_.files.resize(number + 1);
      if (peek().kind != Token::kString) fail("expected a file name");
      tree_.files[number] = std::string(take().text);
      while (accept(',')) integer();
    } else if (accept_directive(".section")) {
      word();
      skip_braces();
    } else {
      declaration();
    }
  }

  void skip_braces() {
    expect('{');
    for (int depth = 1; depth > 0;) {
      if (peek().kind == Token::kEnd) fail("a section does not end");
      if (peek().is('{')) ++depth;
      if (peek().is('}')) --depth;
      take();
    }
  }

  void declaration() {
    bool is_extern = false;
    for (;;) {
      if (accept_directive(".extern")) {
        is_extern = true;
      } else if (!accept_directive(".visible") && !accept_directive(".weak") && !accept_directive(".common")) {
        break;
      }
    }
    if (accept_directive(".entry")) {
      function(true, is_extern);
    } else if (accept_directive(".func")) {
      function(false, is_extern);
    } else if (const auto space = state_space(); space != StateSpace::kReg) {
      do tree_.variables.push_back(variable(space, is_extern));
      while (accept(','));
      expect(';');
    } else {
      fail("unsupported directive " + std::string(directive().empty() ? peek().text : directive()));
    }
  }

  StateSpace state_space() {
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

  // ".align 4 .b8 table[16] = {1, 2}"; after a comma only the name and what follows it.
  Variable variable(StateSpace space, bool is_extern) {
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

  void initialiser(Variable& v, uint32_t width) {
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

  // ---- functions
  void function(bool is_entry, bool is_extern) {
    current_ = {};
    current_.is_entry = is_entry;
    current_.is_extern = is_extern;
    current_.line = peek().line;
    scopes_.assign(1, {});
    label_uses_.clear();
    if (peek().is('(')) parameter_list(current_.returns);
    current_.name = word();
    if (peek().is('(')) parameter_list(current_.parameters);
    while (!peek().is('{') && !peek().is(';')) function_attribute();
    if (!accept(';')) {
      location_.clear();
      locations_.clear();
      body();
      resolve_labels();
    }
    const std::string name = current_.name;
    const auto existing = tree_.functions.find(name);
    if (existing == tree_.functions.end() || existing->second.statements.empty()) {
      tree_.functions[name] = std::move(current_);  // a prototype gives way to its body
    }
  }

  void function_attribute() {
    if (accept_directive(".noreturn") || accept_directive(".abi_preserve")) return;
    if (accept_directive(".maxntid")) {
      current_.max_threads = num_threads(extents());
    } else if (accept_directive(".reqntid")) {
      current_.required_block = extents();
      current_.max_threads = num_threads(current_.required_block);
    } else if (accept_directive(".minnctapersm") || accept_directive(".maxnreg") || accept_directive(".maxnctapersm")) {
      integer();
    } else {
      fail("unsupported attribute of a function: " + std::string(directive().empty() ? peek().text : directive()));
    }
  }

  Dim3 extents() {
    Dim3 d;
    d.x = static_cast<uint32_t>(integer());
    if (accept(',')) d.y = static_cast<uint32_t>(integer());
    if (accept(',')) d.z = static_cast<uint32_t>(integer());
    return d;
  }
  static uint32_t num_threads(Dim3 block) { return block.x * block.y * block.z; }

  void parameter_list(std::vector<uint32_t>& to) {
    expect('(');
    while (!peek().is(')')) {
      if (state_space() != StateSpace::kParam) fail("parameters must be in the .param space");
      to.push_back(add_variable(variable(StateSpace::kParam, false)));
      if (!accept(',')) break;
    }
    expect(')');
  }

  uint32_t add_variable(Variable v) {
    const auto index = static_cast<uint32_t>(current_.variables.size());
    scopes_.back().variables[v.name] = index;
    current_.variables.push_back(std::move(v));
    return index;
  }

  void body() {
    expect('{');
    while (!accept('}')) {
      if (!directive().empty()) {
        body_directive();
      } else if (peek().is('{')) {
        scopes_.emplace_back();
        body();
        scopes_.pop_back();
      } else if (peek().kind == Token::kWord && peek(1).is(':')) {
        label();
      } else if (!accept(';')) {
        statement();
      }
    }
    settle_labels(scopes_.size());
  }

  void body_directive() {
    if (accept_directive(".reg")) {
      registers();
    } else if (accept_directive(".loc")) {
      loc();
    } else if (accept_directive(".pragma")) {
      while (!accept(';')) take();
    } else if (const auto space = state_space(); space != StateSpace::kReg) {
      do add_variable(variable(space, false));
      while (accept(','));
      expect(';');
    } else {
      fail("unsupported directive " + std::string(directive()));
    }
  }

  void registers() {
    const auto type = parse_type(directive());
    if (!type) fail("unsupported register type " + std::string(directive()));
    next_directive();
    do {
      const std::string name = word();
      if (accept('<')) {
        const uint64_t count = integer();
        expect('>');
        for (uint64_t i = 0; i < count; ++i) add_register(name + std::to_string(i), *type);
      } else {
        add_register(name, *type);
      }
    } while (accept(','));
    expect(';');
  }

  void add_register(const std::string& name, Type type) {
    scopes_.back().registers[name] = static_cast<uint32_t>(current_.registers.size());
    current_.registers.push_back({name, type});
  }

  SourcePoint source_point() {
    const auto file = static_cast<int>(integer()), line = static_cast<int>(integer());
    return {file, line, static_cast<int>(integer())};
  }

  // .loc 2 134 49, function_name $L__info_string0, inlined_at 1 13 3
  // The call it was inlined at has a .loc further up, which says where that one was inlined.
  void loc() {
    location_.assign(1, source_point());
    while (accept(',')) {
      const std::string key = word();
      if (key == "function_name") {
        word();
        if (accept('+')) integer();
      } else if (key == "inlined_at") {
        const SourcePoint call = source_point();
        const auto known = locations_.find(call);
        const std::vector<SourcePoint> callers = known != locations_.end() ? known->second : std::vector{call};
        location_.insert(location_.end(), callers.begin(), callers.end());
      } else {
        fail("unsupported attribute of .loc: " + key);
      }
    }
    locations_[location_.front()] = location_;
  }

  void label() {
    Label l;
    l.name = word();
    expect(':');
    l.position = static_cast<int>(current_.statements.size());
    if (directive() == ".branchtargets") {
      next_directive();
      do l.targets.push_back(static_cast<int>(use_label(word())));
      while (accept(','));
      expect(';');
    }
    scopes_.back().labels[l.name] = static_cast<uint32_t>(current_.labels.size());
    current_.labels.push_back(std::move(l));
  }

  // Labels may be used before they are declared: each use gets a number of its own, tied to the declaration at the end
  // of the innermost scope that declares the name.
  struct LabelUse {
    std::string name;
    size_t depth;
    int label = -1;
    int line;
  };
  uint32_t use_label(const std::string& name) {
    label_uses_.push_back({name, scopes_.size(), -1, peek().line});
    return static_cast<uint32_t>(label_uses_.size() - 1);
  }
  void settle_labels(size_t depth) {
    for (LabelUse& use : label_uses_) {
      if (use.label >= 0 || use.depth < depth) continue;
      const auto found = scopes_.back().labels.find(use.name);
      if (found != scopes_.back().labels.end()) {
        use.label = static_cast<int>(found->second);
      } else {
        use.depth = depth - 1;
      }
    }
  }
  void resolve_labels() {
    const auto resolved = [&](uint32_t use) {
      if (label_uses_[use].label < 0)
        throw PtxError(label_uses_[use].line, "there is no label " + label_uses_[use].name);
      return static_cast<uint32_t>(label_uses_[use].label);
    };
    for (Statement& s : current_.statements) {
      for (Operand& o : s.operands) {
        if (o.kind == Operand::kLabel) o.index = resolved(o.index);
      }
    }
    for (Label& l : current_.labels) {
      for (int& target : l.targets) target = static_cast<int>(resolved(static_cast<uint32_t>(target)));
    }
  }

  // ---- statements
  void statement() {
    Statement s;
    s.line = peek().line;
    if (accept('@')) {
      s.guard_negated = accept('!');
      s.guard = static_cast<int>(find_register(word(), s.line));
    }
    s.line = peek().line;
    if (peek().kind != Token::kWord) fail("expected an instruction, found " + std::string(peek().text));
    s.opcode = take().text;
    s.source = location_;
    const std::string_view base = s.opcode.substr(0, s.opcode.find('.'));
    if (base == "call") {
      call(s);
    } else {
      const bool branches = base == "bra" || base == "brx";
      while (!peek().is(';')) {
        const bool label = branches && peek().kind == Token::kWord && peek().text[0] != '%';
        s.operands.push_back(label ? Operand(Operand::kLabel, use_label(word())) : operand());
        if (accept('|')) s.operands.push_back(operand());  // d|p
        if (!accept(',')) break;
      }
    }
    expect(';');
    current_.statements.push_back(std::move(s));
  }

  // call.uni (retval0), name, (param0, param1);
  void call(Statement& s) {
    if (peek().is('(')) {
      s.returns = operand_list();
      expect(',');
    }
    if (peek().kind == Token::kWord && peek().text[0] == '%') fail("indirect calls are not supported");
    s.callee = word();
    if (accept(',')) s.operands = operand_list();
    if (peek().is(',')) fail("indirect calls are not supported");
  }

  std::vector<Operand> operand_list() {
    std::vector<Operand> list;
    expect('(');
    while (!peek().is(')')) {
      list.push_back(operand());
      if (!accept(',')) break;
    }
    expect(')');
    return list;
  }

  Operand operand() {
    Operand o(Operand::kSink);
    if (accept('[')) {
      o.kind = Operand::kMemory;
      o.elements.push_back(operand());
      o.offset = o.elements[0].offset;
      o.elements[0].offset = 0;
      expect(']');
      return o;
    }
    if (accept('{')) {
      o.kind = Operand::kVector;
      do o.elements.push_back(operand());
      while (accept(','));
      expect('}');
      return o;
    }
    if (accept('!')) {
      o = operand();
      o.negated = true;
      return o;
    }
    const Token& token = peek();
    if (token.kind == Token::kFloat32 || token.kind == Token::kFloat64) {
      o.kind = Operand::kImmediate;
      o.literal = token.kind == Token::kFloat32 ? Operand::kFloat32 : Operand::kFloat64;
      o.bits = take().bits;
      return o;
    }
    if (token.kind == Token::kInteger || token.is('-')) {
      o.kind = Operand::kImmediate;
      o.bits = integer();
      return o;
    }
    o = named(word());
    while (peek().is('+') || peek().is('-')) {
      const bool minus = take().is('-');
      const auto value = static_cast<int64_t>(integer());
      o.offset += minus ? -value : value;
    }
    return o;
  }

  Operand named(const std::string& name) {
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

  uint32_t find_register(const std::string& name, int line) {
    const Operand o = named(name);
    if (o.kind != Operand::kRegister) throw PtxError(line, "there is no register " + name);
    return o.index;
  }

  // Code inlined from a toolkit header is reported at the line that calls it; code of our own headers at its own line.
  void choose_location(Statement& s) const {
    const auto ours = [&](const SourcePoint& point) {
      if (static_cast<size_t>(point.file) >= tree_.files.size()) return true;
      const std::string_view file = tree_.files[static_cast<size_t>(point.file)];
      const std::string_view extension = file.substr(std::min(file.rfind('.'), file.size()));
      return extension != ".h" && extension != ".hpp";
    };
    if (s.source.empty()) return;
    const auto found = std::find_if(s.source.begin(), s.source.end(), ours);
    const SourcePoint& named = found != s.source.end() ? *found : s.source.front();
    s.source_file = named.file;
    s.source_line = named.line;
  }

  struct Declared {
    uint32_t alignment = 0, element_bytes = 4, vector = 1;
  };

  std::vector<Token> tokens_;
  size_t position_ = 0;
  std::vector<std::string_view> parts_;
  Declared declared_;
  SyntaxTree tree_;
  Function current_;
  std::vector<Scope> scopes_;
  std::vector<LabelUse> label_uses_;
  std::vector<SourcePoint> location_;
  // Of this function, by their first point. A point that is inlined along several ways stands for the last one that was
  // named: PTX does not say more.
  std::map<SourcePoint, std::vector<SourcePoint>> locations_;
};

}  // namespace

SyntaxTree parse(std::string_view ptx) { return Parser(ptx).run(); }

}  // namespace winnow::gpusim
