// Bits: logic, shifts, fields, permutation.
#include <algorithm>
#include <type_traits>

#include "decode/encoder.h"
#include "exec/elementwise.h"

namespace winnow::gpusim {
namespace {

struct And {
  template <class T>
  static T apply(T a, T b) {
    return a & b;
  }
};
struct Or {
  template <class T>
  static T apply(T a, T b) {
    return a | b;
  }
};
struct Xor {
  template <class T>
  static T apply(T a, T b) {
    return a ^ b;
  }
};
struct Not {
  template <class T>
  static T apply(T a) {
    return static_cast<T>(~a);
  }
};
struct CNot {
  template <class T>
  static T apply(T a) {
    return a == 0;
  }
};

// Amounts beyond the width shift everything out.
struct ShiftLeft {
  template <class T>
  static T apply(T a, uint32_t b) {
    return b < 8 * sizeof(T) ? static_cast<T>(a << b) : T{0};
  }
};
struct ShiftRight {
  template <class T>
  static T apply(T a, uint32_t b) {
    constexpr uint32_t kWidth = 8 * sizeof(T);
    return static_cast<T>(b < kWidth ? a >> b : a >> (kWidth - 1) >> 1);
  }
};
uint64_t joined(uint32_t high, uint32_t low) { return uint64_t{high} << 32 | low; }
struct FunnelLeftWrap {
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t c) {
    return static_cast<uint32_t>(joined(b, a) << (c & 31) >> 32);
  }
};
struct FunnelLeftClamp {
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t c) {
    return static_cast<uint32_t>(c >= 32 ? a : joined(b, a) << c >> 32);
  }
};
struct FunnelRightWrap {
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t c) { return static_cast<uint32_t>(joined(b, a) >> (c & 31)); }
};
struct FunnelRightClamp {
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t c) {
    return static_cast<uint32_t>(c >= 32 ? b : joined(b, a) >> c);
  }
};

struct BitFieldExtract {
  template <class T>
  static T apply(T a, uint32_t b, uint32_t c) {
    constexpr uint32_t kWidth = 8 * sizeof(T);
    const uint32_t position = b & 0xFF, length = c & 0xFF;
    if (length == 0) return 0;
    using U = std::make_unsigned_t<T>;
    const uint32_t last = std::min(position + length - 1, kWidth - 1);
    const bool sign = std::is_signed_v<T> && (static_cast<U>(a) >> last & 1) != 0;
    U field = position < kWidth ? static_cast<U>(static_cast<U>(a) >> position) : U{0};
    const uint32_t held = position < kWidth ? std::min(length, kWidth - position) : 0;
    const U mask = held >= kWidth ? ~U{0} : static_cast<U>((U{1} << held) - 1);
    field &= mask;
    return static_cast<T>(sign ? field | static_cast<U>(~mask) : field);
  }
};

struct LeadingZeros {
  template <class T>
  static uint32_t apply(T a) {
    return a == 0 ? 8 * sizeof(T) : static_cast<uint32_t>(__builtin_clzll(a)) - (64 - 8 * sizeof(T));
  }
};
struct Ones {
  template <class T>
  static uint32_t apply(T a) {
    return static_cast<uint32_t>(__builtin_popcountll(a));
  }
};
struct Reverse {
  template <class T>
  static T apply(T a) {
    T r = 0;
    for (size_t k = 0; k < 8 * sizeof(T); ++k) r = static_cast<T>(r << 1 | (a >> k & 1));
    return r;
  }
};
// Position of the highest bit that differs from the sign; none: all ones.
struct FindBit {
  template <class T>
  static uint32_t apply(T a) {
    using U = std::make_unsigned_t<T>;
    const U bits = a < 0 ? static_cast<U>(~a) : static_cast<U>(a);
    return bits == 0 ? ~0u : 8 * sizeof(T) - 1 - LeadingZeros::apply(bits);
  }
};
struct FindShift {
  template <class T>
  static uint32_t apply(T a) {
    const uint32_t position = FindBit::apply(a);
    return position == ~0u ? ~0u : 8 * sizeof(T) - 1 - position;
  }
};

// Byte k of the result is byte (selector >> 4 k) & 7 of {b, a}; with bit 3 set, its sign eight times.
struct Permute {
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t c) {
    const uint64_t bytes = joined(b, a);
    uint32_t r = 0;
    for (uint32_t k = 0; k < 4; ++k) {
      const uint32_t selector = c >> (4 * k) & 0xF;
      auto byte = static_cast<uint8_t>(bytes >> (8 * (selector & 7)));
      if (selector & 8) byte = static_cast<uint8_t>(static_cast<int8_t>(byte) >> 7);
      r |= uint32_t{byte} << (8 * k);
    }
    return r;
  }
};

template <class Op>
Handler logic(const Match& m) {
  return for_width(m.type(), [](auto t) -> Handler { return binary<Op, decltype(t)>; });
}
template <class Op>
Handler logic_unary(const Match& m) {
  return for_width(m.type(), [](auto t) -> Handler { return unary<Op, decltype(t)>; });
}
template <class Op>
Handler shift(const Match& m) {
  return for_integer(m.type(), [](auto t) -> Handler { return binary<Op, decltype(t), decltype(t), uint32_t>; });
}
template <class Op>
Handler count(const Match& m) {
  return for_integer(m.type(), [](auto t) -> Handler { return unary<Op, uint32_t, decltype(t)>; });
}
template <class Op>
Handler fixed3(const Match&) {
  return ternary<Op, uint32_t>;
}
Handler bit_field_extract(const Match& m) {
  return for_integer(m.type(), [](auto t) -> Handler {
    return ternary<BitFieldExtract, decltype(t), decltype(t), uint32_t, uint32_t>;
  });
}

// d = b with the field of `length` bits at `position` replaced by a's low bits.
template <class T>
void bit_field_insert(Warp& w, const Instruction& i, uint32_t lanes) {
  constexpr uint32_t kWidth = 8 * sizeof(T);
  const T *a = w.at<T>(i.op[1]), *b = w.at<T>(i.op[2]);
  const uint32_t *c = w.at<uint32_t>(i.op[3]), *d = w.at<uint32_t>(i.op[4]);
  for_lanes(w, lanes, w.at<T>(i.op[0]), [=](int l) {
    const uint32_t position = c[l] & 0xFF, length = d[l] & 0xFF;
    if (position >= kWidth || length == 0) return b[l];
    const T mask = static_cast<T>((length >= kWidth ? ~T{0} : (T{1} << length) - 1) << position);
    return static_cast<T>((b[l] & ~mask) | (a[l] << position & mask));
  });
}

template <class Op>
void logic_predicate(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint32_t r = Op::apply(w.predicate(i.op[1]), w.predicate(i.op[2]));
  uint32_t& d = w.predicate(i.op[0]);
  d = (d & ~lanes) | (r & lanes);
}
void not_predicate(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint32_t r = ~w.predicate(i.op[1]);
  uint32_t& d = w.predicate(i.op[0]);
  d = (d & ~lanes) | (r & lanes);
}

// Any function of three bits: bit (a << 2 | b << 1 | c) of the table.
void logic3(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint32_t *a = w.at<uint32_t>(i.op[1]), *b = w.at<uint32_t>(i.op[2]), *c = w.at<uint32_t>(i.op[3]);
  uint32_t term[8];
  for (int k = 0; k < 8; ++k) term[k] = (i.immediate >> k & 1) != 0 ? ~0u : 0;
  for_lanes(w, lanes, w.at<uint32_t>(i.op[0]), [=](int l) {
    const uint32_t when_a =
        (b[l] & ((c[l] & term[7]) | (~c[l] & term[6]))) | (~b[l] & ((c[l] & term[5]) | (~c[l] & term[4])));
    const uint32_t when_not =
        (b[l] & ((c[l] & term[3]) | (~c[l] & term[2]))) | (~b[l] & ((c[l] & term[1]) | (~c[l] & term[0])));
    return (a[l] & when_a) | (~a[l] & when_not);
  });
}
void encode_logic3(Encoder& e) {
  e.require_operands(5, 5);
  e.define(0, e.operand(0), Type::kB32);
  for (int k = 1; k <= 3; ++k) e.use(k, e.operand(static_cast<size_t>(k)), Type::kB32);
  e.out.immediate = static_cast<int64_t>(e.integer(e.operand(4)));
  e.out.run = logic3;
}

}  // namespace

const Forms& bit_forms() {
  static const Forms forms = {
      {"and(.b16,.b32,.b64)", "t t t", logic<And>},
      {"or(.b16,.b32,.b64)", "t t t", logic<Or>},
      {"xor(.b16,.b32,.b64)", "t t t", logic<Xor>},
      {"not(.b16,.b32,.b64)", "t t", logic_unary<Not>},
      {"cnot(.b16,.b32,.b64)", "t t", logic_unary<CNot>},
      {"and.pred", "pred pred pred", [](const Match&) -> Handler { return logic_predicate<And>; }},
      {"or.pred", "pred pred pred", [](const Match&) -> Handler { return logic_predicate<Or>; }},
      {"xor.pred", "pred pred pred", [](const Match&) -> Handler { return logic_predicate<Xor>; }},
      {"not.pred", "pred pred", [](const Match&) -> Handler { return not_predicate; }},
      {"shl(.b16,.b32,.b64)", "t t u32", shift<ShiftLeft>},
      {"shr(.b16,.b32,.b64,.u16,.u32,.u64,.s16,.s32,.s64)", "t t u32", shift<ShiftRight>},
      {"shf.l.wrap.b32", "b32 b32 b32 u32", fixed3<FunnelLeftWrap>},
      {"shf.l.clamp.b32", "b32 b32 b32 u32", fixed3<FunnelLeftClamp>},
      {"shf.r.wrap.b32", "b32 b32 b32 u32", fixed3<FunnelRightWrap>},
      {"shf.r.clamp.b32", "b32 b32 b32 u32", fixed3<FunnelRightClamp>},
      {"bfe(.u32,.u64,.s32,.s64)", "t t u32 u32", bit_field_extract},
      {"bfi.b32", "b32 b32 b32 u32 u32", [](const Match&) -> Handler { return bit_field_insert<uint32_t>; }},
      {"bfi.b64", "b64 b64 b64 u32 u32", [](const Match&) -> Handler { return bit_field_insert<uint64_t>; }},
      {"bfind(.u32,.u64,.s32,.s64)", "u32 t", count<FindBit>},
      {"bfind.shiftamt(.u32,.u64,.s32,.s64)", "u32 t", count<FindShift>},
      {"clz(.b32,.b64)", "u32 t", count<LeadingZeros>},
      {"popc(.b32,.b64)", "u32 t", count<Ones>},
      {"brev(.b32,.b64)", "t t", logic_unary<Reverse>},
      {"prmt.b32", "b32 b32 b32 b32", fixed3<Permute>},
      {"lop3.b32", nullptr, nullptr, encode_logic3},
  };
  return forms;
}

}  // namespace winnow::gpusim
