// atom and red. Global memory is shared with blocks on other host threads: every operation there is a compare-and-swap
// of the host.
// Lanes take their turns in ascending order; the order among blocks is that of the host, so the values that atom
// returns, and sums of floats, can differ from run to run when num_threads is not 1. As on a GPU.
#include <cstring>

#include "decode/encoder.h"
#include "exec/access.h"
#include "exec/half.h"

namespace winnow::gpusim {
namespace {

struct Add {
  template <class T>
  static T apply(T a, T b, T) {
    return static_cast<T>(a + b);
  }
};
struct Min {
  template <class T>
  static T apply(T a, T b, T) {
    return a < b ? a : b;
  }
};
struct Max {
  template <class T>
  static T apply(T a, T b, T) {
    return a > b ? a : b;
  }
};
struct And {
  template <class T>
  static T apply(T a, T b, T) {
    return a & b;
  }
};
struct Or {
  template <class T>
  static T apply(T a, T b, T) {
    return a | b;
  }
};
struct Xor {
  template <class T>
  static T apply(T a, T b, T) {
    return a ^ b;
  }
};
struct Exchange {
  template <class T>
  static T apply(T, T b, T) {
    return b;
  }
};
struct CompareSwap {
  template <class T>
  static T apply(T a, T b, T c) {
    return a == b ? c : a;
  }
};
struct Increment {
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t) { return a >= b ? 0 : a + 1; }
};
struct Decrement {
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t) { return a == 0 || a > b ? b : a - 1; }
};
struct AddF32 {
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t) {
    return bit_cast<uint32_t>(canonical(bit_cast<float>(a) + bit_cast<float>(b)));
  }
};
struct AddF64 {
  static uint64_t apply(uint64_t a, uint64_t b, uint64_t) {
    return bit_cast<uint64_t>(bit_cast<double>(a) + bit_cast<double>(b));
  }
};
template <class H>
struct AddHalf {
  static uint16_t apply(uint16_t a, uint16_t b, uint16_t) {
    return narrow<H>(odd_multiply_add(H::widen(a), 1, H::widen(b)));
  }
};
template <class H>
struct AddPair {
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t) {
    const auto one = [](uint32_t x, uint32_t y) {
      return uint32_t{AddHalf<H>::apply(static_cast<uint16_t>(x), static_cast<uint16_t>(y), 0)};
    };
    return one(a >> 16, b >> 16) << 16 | one(a, b);
  }
};

// op: d, address, b, c. kReturns: atom, otherwise red.
template <class Op, class T, bool kReturns>
void atomic(Warp& w, const Instruction& i, uint32_t lanes) {
  Lanes at;
  resolve(w, i, lanes, 1, sizeof(T), kReturns ? AccessKind::kAtomic : AccessKind::kReduction, at);
  w.block->counters.atomics += static_cast<uint64_t>(__builtin_popcount(lanes));
  const T *b = w.at<T>(i.op[2]), *c = w.at<T>(i.op[3]);
  T* d = kReturns ? w.at<T>(i.op[0]) : nullptr;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int l = __builtin_ctz(rest);
    T* target = reinterpret_cast<T*>(at.pointer[l]);
    T old;
    if (at.space == AddressSpace::kGlobal || at.space == AddressSpace::kGeneric) {
      old = __atomic_load_n(target, __ATOMIC_RELAXED);
      while (!__atomic_compare_exchange_n(target, &old, Op::apply(old, b[l], c[l]), false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED)) {
      }
    } else {
      std::memcpy(&old, target, sizeof old);
      const T fresh = Op::apply(old, b[l], c[l]);
      std::memcpy(target, &fresh, sizeof fresh);
    }
    if (kReturns) d[l] = old;
  }
}

template <class Op, class T>
Handler with(bool returns) {
  return returns ? atomic<Op, T, true> : atomic<Op, T, false>;
}

template <class Op>
Handler signed_or_not(Type type, bool returns) {
  switch (type) {
    case Type::kU32:
      return with<Op, uint32_t>(returns);
    case Type::kS32:
      return with<Op, int32_t>(returns);
    case Type::kU64:
      return with<Op, uint64_t>(returns);
    case Type::kS64:
      return with<Op, int64_t>(returns);
    default:
      return nullptr;
  }
}
template <class Op>
Handler of_width(Type type, bool returns) {
  switch (size_bytes(type)) {
    case 2:
      return with<Op, uint16_t>(returns);
    case 4:
      return with<Op, uint32_t>(returns);
    default:
      return with<Op, uint64_t>(returns);
  }
}

Handler add_of(Type type, bool returns) {
  switch (type) {
    case Type::kF32:
      return with<AddF32, uint32_t>(returns);
    case Type::kF64:
      return with<AddF64, uint64_t>(returns);
    case Type::kF16:
      return with<AddHalf<F16>, uint16_t>(returns);
    case Type::kBF16:
      return with<AddHalf<BF16>, uint16_t>(returns);
    case Type::kF16x2:
      return with<AddPair<F16>, uint32_t>(returns);
    case Type::kBF16x2:
      return with<AddPair<BF16>, uint32_t>(returns);
    default:
      return of_width<Add>(type, returns);
  }
}

Handler handler_of(std::string_view op, Type type, bool returns) {
  if (op == ".add") return add_of(type, returns);
  if (op == ".min") return signed_or_not<Min>(type, returns);
  if (op == ".max") return signed_or_not<Max>(type, returns);
  if (op == ".and") return of_width<And>(type, returns);
  if (op == ".or") return of_width<Or>(type, returns);
  if (op == ".xor") return of_width<Xor>(type, returns);
  if (op == ".exch") return of_width<Exchange>(type, returns);
  if (op == ".cas") return of_width<CompareSwap>(type, returns);
  if (op == ".inc") return with<Increment, uint32_t>(returns);
  return op == ".dec" ? with<Decrement, uint32_t>(returns) : nullptr;
}

// atom.global.add.f32 d, [a], b and red.global.add.f32 [a], b; the last groups are the operation and the type.
void encode_atomic(Encoder& e) {
  const bool returns = e.statement.opcode.substr(0, 4) == "atom";
  const Match& m = e.match;
  const std::string_view op = m.last(1);
  const Type type = m.type();
  const size_t first = returns ? 1 : 0, operands = first + (op == ".cas" ? 3 : 2);
  e.require_operands(operands, operands);
  AddressSpace space = AddressSpace::kGeneric;
  if (m.has(".global")) space = AddressSpace::kGlobal;
  if (m.has(".shared") || m.has(".shared::cta")) space = AddressSpace::kShared;
  if (returns) e.define(0, e.operand(0), type);
  e.address(1, e.operand(first), space);
  e.use(2, e.operand(first + 1), type);
  e.out.op[3] = kZero64;
  if (op == ".cas") e.use(3, e.operand(first + 2), type);
  e.out.bytes = static_cast<uint8_t>(size_bytes(type));
  e.out.order = m.has(".acquire")   ? MemoryOrder::kAcquire
                : m.has(".release") ? MemoryOrder::kRelease
                : m.has(".acq_rel") ? MemoryOrder::kAcquireRelease
                                    : MemoryOrder::kRelaxed;
  e.out.run = handler_of(op, type, returns);
}

}  // namespace

#define WINNOW_WHERE "{.relaxed,.acquire,.release,.acq_rel}{.cta,.gpu,.sys}{.global,.shared,.shared::cta}"

const Forms& atomic_forms() {
  static const Forms forms = {
      {"atom" WINNOW_WHERE "(.add)(.u32,.s32,.u64,.f32,.f64)", nullptr, nullptr, encode_atomic},
      {"atom" WINNOW_WHERE "(.add).noftz(.f16,.f16x2,.bf16,.bf16x2)", nullptr, nullptr, encode_atomic},
      {"atom" WINNOW_WHERE "(.min,.max)(.u32,.s32,.u64,.s64)", nullptr, nullptr, encode_atomic},
      {"atom" WINNOW_WHERE "(.and,.or,.xor)(.b32,.b64)", nullptr, nullptr, encode_atomic},
      {"atom" WINNOW_WHERE "(.exch)(.b32,.b64)", nullptr, nullptr, encode_atomic},
      {"atom" WINNOW_WHERE "(.cas)(.b16,.b32,.b64)", nullptr, nullptr, encode_atomic},
      {"atom" WINNOW_WHERE "(.inc,.dec)(.u32)", nullptr, nullptr, encode_atomic},
      {"red" WINNOW_WHERE "(.add)(.u32,.s32,.u64,.f32,.f64)", nullptr, nullptr, encode_atomic},
      {"red" WINNOW_WHERE "(.add).noftz(.f16,.f16x2,.bf16,.bf16x2)", nullptr, nullptr, encode_atomic},
      {"red" WINNOW_WHERE "(.min,.max)(.u32,.s32,.u64,.s64)", nullptr, nullptr, encode_atomic},
      {"red" WINNOW_WHERE "(.and,.or,.xor)(.b32,.b64)", nullptr, nullptr, encode_atomic},
      {"red" WINNOW_WHERE "(.inc,.dec)(.u32)", nullptr, nullptr, encode_atomic},
  };
  return forms;
}

}  // namespace winnow::gpusim
