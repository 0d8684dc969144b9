#include <algorithm>
#include <map>

#include "gpusim.h"
#include "ptx/scopes.h"
#include "ptx/syntax.h"
#include "ptx/variable_parser.h"

namespace winnow::gpusim {
namespace {

class Parser : VariableParser {
 public:
  explicit Parser(std::string_view ptx) : VariableParser(ptx) {}

  SyntaxTree run() {
    while (peek().kind != Token::kEnd) module_item();
    for (auto& [name, function] : tree_.functions) {
      for (Statement& s : function.statements) choose_location(s);
    }
    return std::move(tree_);
  }

 private:
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

  // ---- functions
  void function(bool is_entry, bool is_extern) {
    current_ = {};
    current_.is_entry = is_entry;
    current_.is_extern = is_extern;
    current_.line = peek().line;
    scopes_ = {};
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
    scopes_.add_variable(v.name, index);
    current_.variables.push_back(std::move(v));
    return index;
  }

  void body() {
    expect('{');
    while (!accept('}')) {
      if (!directive().empty()) {
        body_directive();
      } else if (peek().is('{')) {
        scopes_.open();
        body();
      } else if (peek().kind == Token::kWord && peek(1).is(':')) {
        label();
      } else if (!accept(';')) {
        statement();
      }
    }
    scopes_.close();
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
    scopes_.add_register(name, static_cast<uint32_t>(current_.registers.size()));
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
      do l.targets.push_back(static_cast<int>(use_label()));
      while (accept(','));
      expect(';');
    }
    scopes_.add_label(l.name, static_cast<uint32_t>(current_.labels.size()));
    current_.labels.push_back(std::move(l));
  }

  uint32_t use_label() {
    const std::string name = word();
    return scopes_.use_label(name, peek().line);
  }

  void resolve_labels() {
    for (Statement& s : current_.statements) {
      for (Operand& o : s.operands) {
        if (o.kind == Operand::kLabel) o.index = scopes_.label(o.index);
      }
    }
    for (Label& l : current_.labels) {
      for (int& target : l.targets) target = static_cast<int>(scopes_.label(static_cast<uint32_t>(target)));
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
        s.operands.push_back(label ? Operand(Operand::kLabel, use_label()) : operand());
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
    o = scopes_.find(word());
    while (peek().is('+') || peek().is('-')) {
      const bool minus = take().is('-');
      const auto value = static_cast<int64_t>(integer());
      o.offset += minus ? -value : value;
    }
    return o;
  }

  uint32_t find_register(const std::string& name, int line) {
    const Operand o = scopes_.find(name);
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

  SyntaxTree tree_;
  Function current_;
  Scopes scopes_;
  std::vector<SourcePoint> location_;
  // Of this function, by their first point. A point that is inlined along several ways stands for the last one that was
  // named: PTX does not say more.
  std::map<SourcePoint, std::vector<SourcePoint>> locations_;
};

}  // namespace

SyntaxTree parse(std::string_view ptx) { return Parser(ptx).run(); }

}  // namespace winnow::gpusim
