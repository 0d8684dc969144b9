#include "decode/encoder.h"

#include <algorithm>
#include <cstring>

namespace winnow::gpusim {
namespace {

struct SpecialName {
  std::string_view name;
  Special special;
};

constexpr SpecialName kSpecials[] = {
    {"%tid.x", kTidX},
    {"%tid.y", kTidY},
    {"%tid.z", kTidZ},
    {"%ntid.x", kNTidX},
    {"%ntid.y", kNTidY},
    {"%ntid.z", kNTidZ},
    {"%ctaid.x", kCtaIdX},
    {"%ctaid.y", kCtaIdY},
    {"%ctaid.z", kCtaIdZ},
    {"%nctaid.x", kNCtaIdX},
    {"%nctaid.y", kNCtaIdY},
    {"%nctaid.z", kNCtaIdZ},
    {"%laneid", kLaneId},
    {"%warpid", kWarpId},
    {"%nwarpid", kNWarpId},
    {"%smid", kSmId},
    {"%nsmid", kNSmId},
    {"%lanemask_eq", kLaneMaskEq},
    {"%lanemask_lt", kLaneMaskLt},
    {"%lanemask_le", kLaneMaskLe},
    {"%lanemask_gt", kLaneMaskGt},
    {"%lanemask_ge", kLaneMaskGe},
    {"%dynamic_smem_size", kDynamicSharedBytes},
    {"%total_smem_size", kTotalSharedBytes},
};

constexpr uint32_t kMaxListLength = 16;

}  // namespace

uint32_t storage_bytes(Type register_type) {
  const uint32_t bytes = size_bytes(register_type);
  return bytes == 1 ? 2 : bytes;
}

Slot Decoding::constant(uint64_t bits, uint32_t width) {
  if (width < 8) bits &= (uint64_t{1} << (8 * width)) - 1;
  const auto [entry, fresh] = constants.try_emplace({bits, width}, 0);
  if (!fresh) return entry->second;
  auto& pool = program.constants;
  const auto offset = static_cast<uint32_t>(pool.size());
  const uint32_t lane_bytes = width == 1 ? 2 : width;
  pool.resize(offset + std::max(64u, lane_bytes * 32));
  for (uint32_t l = 0; l < 32; ++l) std::memcpy(&pool[offset + l * lane_bytes], &bits, lane_bytes);
  return entry->second = kConstantSlot | offset;
}

void Encoder::fail(const std::string& found) const {
  throw PtxError(statement.line, std::string(statement.opcode) + ": " + found);
}

const Operand& Encoder::operand(size_t i) const {
  if (i >= statement.operands.size()) fail("operand " + std::to_string(i + 1) + " is missing");
  return statement.operands[i];
}

void Encoder::require_operands(size_t least, size_t most) const {
  if (num_operands() >= least && num_operands() <= most) return;
  fail("expected " + std::to_string(least) + (most > least ? " to " + std::to_string(most) : "") + " operands, found " +
       std::to_string(num_operands()));
}

void Encoder::bind(Slot* slot, const Operand& o, Type type, bool wider, bool defines) {
  const uint32_t width = storage_bytes(type);
  if (o.negated) fail("an operand cannot be negated here");
  if (o.kind == Operand::kRegister) {
    const Register& r = decoding_.function.registers[o.index];
    const uint32_t found = storage_bytes(r.type);
    const bool fits = (r.type == Type::kPred) == (type == Type::kPred) && (wider ? found >= width : found == width);
    if (!fits)
      fail("register " + r.name + " has " + std::to_string(8 * found) + " bits, expected " + std::to_string(8 * width));
    decoding_.references.push_back({index_, slot, o.index, defines});
    return;
  }
  if (defines) {
    if (o.kind != Operand::kSink) fail("the destination must be a register");
    // A register of its own that nobody reads.
    auto& registers = const_cast<Function&>(decoding_.function).registers;
    registers.push_back({"_", type});
    decoding_.references.push_back({index_, slot, static_cast<uint32_t>(registers.size() - 1), true});
    return;
  }
  if (o.kind == Operand::kSpecial) {
    if (width == 4) {
      for (const SpecialName& s : kSpecials) {
        if (s.name == o.text) {
          *slot = s.special * kSpecialStride;
          return;
        }
      }
    }
    fail("unsupported special register " + o.text);
  }
  if (o.kind == Operand::kImmediate) {
    if (type == Type::kPred) {
      *slot = o.bits != 0 ? kAlways : kNever;
      return;
    }
    const bool is_double = o.literal == Operand::kFloat64;
    if ((is_double && width != 8) || (o.literal == Operand::kFloat32 && width != 4))
      fail("the constant has another width than the type");
    if (o.literal == Operand::kInteger && (type == Type::kF32 || type == Type::kF64))
      fail("an integer where a float is expected");
    *slot = decoding_.constant(o.bits, width);
    return;
  }
  if (o.kind == Operand::kVariable || o.kind == Operand::kSymbol) {
    AddressSpace space;
    const uint64_t address = variable_address(o, &space) + static_cast<uint64_t>(o.offset);
    if (width < 4) fail("an address needs 32 or 64 bits");
    if (width == 4 && space == AddressSpace::kGlobal) fail("the address of a global variable needs 64 bits");
    *slot = decoding_.constant(address, width);
    return;
  }
  fail("an operand of this kind is not permitted here");
}

void Encoder::bind_list(const Operand& o, Type type, bool wider, bool defines) {
  if (out.list == nullptr) {  // lists must not move once slots in them are referred to
    decoding_.program.lists.emplace_back(kMaxListLength);
    out.list = decoding_.program.lists.back().data();
  }
  const size_t n = o.kind == Operand::kVector ? o.elements.size() : 1;
  if (out.num_list + n > kMaxListLength) fail("too many registers in a list");
  for (size_t i = 0; i < n; ++i) {
    Slot* slot = const_cast<Slot*>(out.list) + out.num_list++;
    bind(slot, o.kind == Operand::kVector ? o.elements[i] : o, type, wider, defines);
  }
}

bool Encoder::is_kernel_parameter(uint32_t variable) const {
  const auto& parameters = decoding_.function.parameters;
  return std::find(parameters.begin(), parameters.end(), variable) != parameters.end();
}

uint64_t Encoder::variable_address(const Operand& o, AddressSpace* space) const {
  if (o.kind == Operand::kVariable) {
    switch (decoding_.function.variables[o.index].space) {
      case StateSpace::kShared:
        *space = AddressSpace::kShared;
        break;
      case StateSpace::kParam:
        *space = is_kernel_parameter(o.index) ? AddressSpace::kParam : AddressSpace::kLocal;
        break;
      default:
        *space = AddressSpace::kLocal;
    }
    return decoding_.layout.variables[o.index];
  }
  const auto found = decoding_.layout.symbols.find(o.text);
  if (found == decoding_.layout.symbols.end()) fail("there is no variable " + o.text);
  *space = decoding_.layout.symbol_spaces.find(o.text)->second;
  return found->second;
}

void Encoder::address(int i, const Operand& memory, AddressSpace space) {
  if (memory.kind != Operand::kMemory) fail("expected an address in brackets");
  const Operand& base = memory.elements[0];
  out.space = space;
  out.immediate = memory.offset;
  switch (base.kind) {
    case Operand::kRegister:
      out.address_bytes = static_cast<uint8_t>(register_bytes(base));
      if (out.address_bytes < 4) fail("an address register must have 32 or 64 bits");
      bind(&out.op[i], base, out.address_bytes == 4 ? Type::kB32 : Type::kB64, false, false);
      break;
    case Operand::kVariable:
    case Operand::kSymbol: {
      AddressSpace found;
      out.immediate += static_cast<int64_t>(variable_address(base, &found));
      if (found != space && space != AddressSpace::kGeneric) {
        if (space != AddressSpace::kParam || found != AddressSpace::kLocal)
          fail(base.text + " lies in another state space");
      }
      out.space = found;  // parameters of a function that is called lie in local memory
      out.op[i] = kZero64;
      break;
    }
    case Operand::kImmediate:
      out.immediate += static_cast<int64_t>(base.bits);
      out.op[i] = kZero64;
      break;
    default:
      fail("an address of this kind is not permitted");
  }
  new_cache();
}

void Encoder::predicate(int i, const Operand& o) {
  Operand plain = o;
  plain.negated = false;
  if (o.negated) out.flags = static_cast<uint8_t>(out.flags | 1u << i);
  bind(&out.op[i], plain, Type::kPred, false, false);
}

uint64_t Encoder::integer(const Operand& o) const {
  if (o.kind != Operand::kImmediate || o.literal != Operand::kInteger) fail("expected an integer constant");
  return o.bits;
}

uint32_t Encoder::target(const Operand& label) const {
  if (label.kind != Operand::kLabel) fail("expected a label");
  return static_cast<uint32_t>(decoding_.function.labels[label.index].position);
}

uint32_t Encoder::register_bytes(const Operand& o) const {
  return o.kind == Operand::kRegister ? storage_bytes(decoding_.function.registers[o.index].type) : 0;
}

void Encoder::branches_to(std::vector<uint32_t> targets, bool falls_through) {
  decoding_.flows[index_] = {std::move(targets), falls_through};
}

}  // namespace winnow::gpusim
