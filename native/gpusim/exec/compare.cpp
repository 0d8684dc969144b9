// setp, selp, set.
#include "decode/encoder.h"
#include "exec/elementwise.h"
#include "exec/float_bits.h"
#include "exec/half.h"

namespace winnow::gpusim {
namespace {

struct Eq {
  template <class T>
  static bool apply(T a, T b) {
    return a == b;
  }
};
struct Ne {
  template <class T>
  static bool apply(T a, T b) {
    return (a < b) | (a > b);
  }
};  // false when a float is NaN
struct Lt {
  template <class T>
  static bool apply(T a, T b) {
    return a < b;
  }
};
struct Le {
  template <class T>
  static bool apply(T a, T b) {
    return a <= b;
  }
};
struct Gt {
  template <class T>
  static bool apply(T a, T b) {
    return a > b;
  }
};
struct Ge {
  template <class T>
  static bool apply(T a, T b) {
    return a >= b;
  }
};
struct Num {
  template <class T>
  static bool apply(T a, T b) {
    return (a == a) & (b == b);
  }
};
struct Nan {
  template <class T>
  static bool apply(T a, T b) {
    return (a != a) | (b != b);
  }
};
template <class Op>
struct OrNan {
  template <class T>
  static bool apply(T a, T b) {
    return Op::apply(a, b) | Nan::apply(a, b);
  }
};
template <class Op>
struct Flush {
  template <class T>
  static bool apply(T a, T b) {
    return Op::apply(flushed(a), flushed(b));
  }
};

struct Identity {
  template <class T>
  static T load(T a) {
    return a;
  }
};
struct FromF16 {
  static float load(uint16_t a) { return F16::widen(a); }
};
struct FromBF16 {
  static float load(uint16_t a) { return BF16::widen(a); }
};

// op: d, a, b, c, q. Flags: bit 3: c is negated; immediate: how c is combined: 0 none, 1 and, 2 or, 3 xor.
template <class Op, class T, class Load>
void set_predicates(Warp& w, const Instruction& i, uint32_t lanes) {
  const T *a = w.at<T>(i.op[1]), *b = w.at<T>(i.op[2]);
  uint32_t compared = 0;
  for (int l = 0; l < kWarpSize; ++l)
    compared |= static_cast<uint32_t>(Op::apply(Load::load(a[l]), Load::load(b[l]))) << l;
  uint32_t c = i.immediate == 0 ? 0 : w.predicate(i.op[3]);
  if ((i.flags & 1u << 3) != 0) c = ~c;
  const auto combined = [&](uint32_t bits) {
    return i.immediate == 1 ? bits & c : i.immediate == 2 ? bits | c : i.immediate == 3 ? bits ^ c : bits;
  };
  uint32_t& d = w.predicate(i.op[0]);
  uint32_t& q = w.predicate(i.op[4]);
  d = (d & ~lanes) | (combined(compared) & lanes);
  if (&q != &d) q = (q & ~lanes) | (combined(~compared) & lanes);
}

template <class T, class Load, bool kFlush, class Op>
Handler setp_with() {
  if constexpr (kFlush)
    return set_predicates<Flush<Op>, T, Load>;
  else
    return set_predicates<Op, T, Load>;
}

template <class T, class Load, bool kFlush>
Handler setp_of(std::string_view op) {
  if (op == ".eq") return setp_with<T, Load, kFlush, Eq>();
  if (op == ".ne") return setp_with<T, Load, kFlush, Ne>();
  if (op == ".lt" || op == ".lo") return setp_with<T, Load, kFlush, Lt>();
  if (op == ".le" || op == ".ls") return setp_with<T, Load, kFlush, Le>();
  if (op == ".gt" || op == ".hi") return setp_with<T, Load, kFlush, Gt>();
  if (op == ".ge" || op == ".hs") return setp_with<T, Load, kFlush, Ge>();
  if constexpr (std::is_integral_v<T> && std::is_same_v<Load, Identity>) {
    return nullptr;
  } else {
    if (op == ".equ") return setp_with<T, Load, kFlush, OrNan<Eq>>();
    if (op == ".neu") return setp_with<T, Load, kFlush, OrNan<Ne>>();
    if (op == ".ltu") return setp_with<T, Load, kFlush, OrNan<Lt>>();
    if (op == ".leu") return setp_with<T, Load, kFlush, OrNan<Le>>();
    if (op == ".gtu") return setp_with<T, Load, kFlush, OrNan<Gt>>();
    if (op == ".geu") return setp_with<T, Load, kFlush, OrNan<Ge>>();
    if (op == ".num") return setp_with<T, Load, kFlush, Num>();
    return op == ".nan" ? setp_with<T, Load, kFlush, Nan>() : nullptr;
  }
}

Handler setp_handler(Type type, std::string_view op, bool flush) {
  switch (type) {
    case Type::kF32:
      return flush ? setp_of<float, Identity, true>(op) : setp_of<float, Identity, false>(op);
    case Type::kF64:
      return setp_of<double, Identity, false>(op);
    case Type::kF16:
      return setp_of<uint16_t, FromF16, false>(op);
    case Type::kBF16:
      return setp_of<uint16_t, FromBF16, false>(op);
    default:
      return for_integer(type, [&](auto t) { return setp_of<decltype(t), Identity, false>(op); });
  }
}

// setp.lt.and.s32 p|q, a, b, !c
void encode_setp(Encoder& e) {
  const Type type = e.match.type();
  const std::string_view combine = e.match.groups[1];
  const size_t sources = combine.empty() ? 2 : 3;
  const bool second = e.num_operands() == sources + 2;
  e.require_operands(sources + 1, sources + 2);
  e.define(0, e.operand(0), Type::kPred);
  if (second) {
    e.define(4, e.operand(1), Type::kPred);
  } else {
    e.define(4, Operand(Operand::kSink), Type::kPred);
  }
  const size_t first = second ? 2 : 1;
  e.use(1, e.operand(first), type);
  e.use(2, e.operand(first + 1), type);
  if (!combine.empty()) e.predicate(3, e.operand(first + 2));
  e.out.immediate = combine == ".and" ? 1 : combine == ".or" ? 2 : combine == ".xor" ? 3 : 0;
  e.out.run = setp_handler(type, e.match.groups[0], e.match.has(".ftz"));
}

template <class T>
void select(Warp& w, const Instruction& i, uint32_t lanes) {
  const T *a = w.at<T>(i.op[1]), *b = w.at<T>(i.op[2]);
  const uint32_t c = w.predicate(i.op[3]) ^ (i.flags != 0 ? kAllLanes : 0);
  for_lanes(w, lanes, w.at<T>(i.op[0]), [=](int l) { return (c >> l & 1) != 0 ? a[l] : b[l]; });
}
Handler select_of(const Match& m) {
  return for_width(m.type(), [](auto t) -> Handler { return select<decltype(t)>; });
}

// set: the comparison as 1.0 (f32) or all ones (integers).
template <class Op, class D, class A>
struct SetValue {
  static D apply(A a, A b) {
    return Op::apply(a, b) ? (std::is_floating_point_v<D> ? D{1} : static_cast<D>(~uint32_t{0})) : D{0};
  }
};
template <class A, class Op>
Handler set_with(const Match& m) {
  if (m.type(1) == Type::kF32) return binary<SetValue<Op, float, A>, float, A>;
  return binary<SetValue<Op, uint32_t, A>, uint32_t, A>;
}
template <class A>
Handler set_of(const Match& m) {
  const std::string_view op = m.groups[0];
  if (op == ".eq") return set_with<A, Eq>(m);
  if (op == ".ne") return set_with<A, Ne>(m);
  if (op == ".lt") return set_with<A, Lt>(m);
  if (op == ".le") return set_with<A, Le>(m);
  if (op == ".gt") return set_with<A, Gt>(m);
  return set_with<A, Ge>(m);
}
Handler set_value(const Match& m) {
  switch (m.type()) {
    case Type::kF32:
      return set_of<float>(m);
    case Type::kU32:
      return set_of<uint32_t>(m);
    default:
      return set_of<int32_t>(m);
  }
}

}  // namespace

const Forms& compare_forms() {
  static const Forms forms = {
      {"setp(.eq,.ne,.lt,.le,.gt,.ge,.lo,.ls,.hi,.hs){.and,.or,.xor}(.b16,.b32,.b64,.u16,.u32,.u64,.s16,.s32,.s64)",
       nullptr, nullptr, encode_setp},
      {"setp(.eq,.ne,.lt,.le,.gt,.ge,.equ,.neu,.ltu,.leu,.gtu,.geu,.num,.nan){.and,.or,.xor}{.ftz}(.f32)", nullptr,
       nullptr, encode_setp},
      {"setp(.eq,.ne,.lt,.le,.gt,.ge,.equ,.neu,.ltu,.leu,.gtu,.geu,.num,.nan){.and,.or,.xor}(.f64,.f16,.bf16)", nullptr,
       nullptr, encode_setp},
      {"selp(.b16,.b32,.b64,.u16,.u32,.u64,.s16,.s32,.s64,.f32,.f64)", "t t t !pred", select_of},
      {"set(.eq,.ne,.lt,.le,.gt,.ge)(.u32,.s32,.f32)(.u32,.s32,.f32)", "t2 t t", set_value},
  };
  return forms;
}

}  // namespace winnow::gpusim
