// Integer arithmetic. PTX manual, "Integer Arithmetic Instructions". Results wrap around unless .sat.
#include <limits>
#include <type_traits>

#include "exec/elementwise.h"

namespace winnow::gpusim {
namespace {

template <class T>
struct Wider;
template <>
struct Wider<uint16_t> {
  using type = uint32_t;
};
template <>
struct Wider<int16_t> {
  using type = int32_t;
};
template <>
struct Wider<uint32_t> {
  using type = uint64_t;
};
template <>
struct Wider<int32_t> {
  using type = int64_t;
};
template <>
struct Wider<uint64_t> {
  using type = unsigned __int128;
};
template <>
struct Wider<int64_t> {
  using type = __int128;
};
template <class T>
using Wide = typename Wider<T>::type;

struct Add {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(a + b);
  }
};
struct Sub {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(a - b);
  }
};
struct Mul {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(Wide<T>{a} * Wide<T>{b});
  }
};
struct MulLow32 {
  static uint32_t apply(uint32_t a, uint32_t b) { return a * b; }
};
struct MulHigh {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(Wide<T>{a} * Wide<T>{b} >> (8 * sizeof(T)));
  }
};
struct MulWide {
  template <class T>
  static Wide<T> apply(T a, T b) {
    return Wide<T>{a} * Wide<T>{b};
  }
};
struct Neg {
  template <class T>
  static T apply(T a) {
    return static_cast<T>(T{0} - a);
  }
};
struct Min {
  template <class T>
  static T apply(T a, T b) {
    return a < b ? a : b;
  }
};
struct Max {
  template <class T>
  static T apply(T a, T b) {
    return a > b ? a : b;
  }
};
struct Abs {
  template <class T>
  static T apply(T a) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(a < 0 ? U{0} - static_cast<U>(a) : static_cast<U>(a));
  }
};

template <class Product>
struct Mad {
  template <class T, class D>
  static D apply(T a, T b, D c) {
    return static_cast<D>(static_cast<std::make_unsigned_t<D>>(Product::apply(a, b)) +
                          static_cast<std::make_unsigned_t<D>>(c));
  }
};

// The manual leaves division by zero unspecified; GPUs give all ones and, for rem, the dividend.
struct Div {
  template <class T>
  static T apply(T a, T b) {
    if (b == 0) return static_cast<T>(~T{0});
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) return Neg::apply(static_cast<std::make_unsigned_t<T>>(a));
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <class T>
  static T apply(T a, T b) {
    if (b == 0) return a;
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
    return static_cast<T>(a % b);
  }
};
struct Sad {
  template <class T>
  static T apply(T a, T b, T c) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>((a < b ? static_cast<U>(b) - static_cast<U>(a) : static_cast<U>(a) - static_cast<U>(b)) +
                          static_cast<U>(c));
  }
};

template <class Int>
int64_t low24(Int a) {
  return std::is_signed_v<Int> ? static_cast<int32_t>(static_cast<uint32_t>(a) << 8) >> 8 : a & 0xFF'FFFF;
}
struct Mul24Low {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(low24(a) * low24(b));
  }
};
struct Mul24High {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(low24(a) * low24(b) >> 16);
  }
};

int32_t clamp32(int64_t a) {
  constexpr int64_t low = std::numeric_limits<int32_t>::min(), high = std::numeric_limits<int32_t>::max();
  return static_cast<int32_t>(a < low ? low : a > high ? high : a);
}
struct AddSaturated {
  static int32_t apply(int32_t a, int32_t b) { return clamp32(int64_t{a} + b); }
};
struct SubSaturated {
  static int32_t apply(int32_t a, int32_t b) { return clamp32(int64_t{a} - b); }
};
struct MadHighSaturated {
  static int32_t apply(int32_t a, int32_t b, int32_t c) { return clamp32(int64_t{MulHigh::apply(a, b)} + c); }
};

// Packed: two 16-bit values in one register.
template <class Op, class T>
struct Pair {
  static uint32_t apply(uint32_t a, uint32_t b) {
    const auto low = static_cast<uint16_t>(Op::apply(static_cast<T>(a), static_cast<T>(b)));
    const auto high = static_cast<uint16_t>(Op::apply(static_cast<T>(a >> 16), static_cast<T>(b >> 16)));
    return uint32_t{high} << 16 | low;
  }
};

// d = c + the dot product of the operands' four bytes.
template <class A, class B>
struct Dot4 {
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t c) {
    for (int k = 0; k < 32; k += 8) c += static_cast<uint32_t>(static_cast<A>(a >> k) * static_cast<B>(b >> k));
    return c;
  }
};
template <class A, class B, int kShift>
struct Dot2 {  // a's 16-bit halves with two bytes of b
  static uint32_t apply(uint32_t a, uint32_t b, uint32_t c) {
    for (int k = 0; k < 2; ++k)
      c += static_cast<uint32_t>(static_cast<A>(a >> (16 * k)) * static_cast<B>(b >> (kShift + 8 * k)));
    return c;
  }
};

template <class Op>
Handler integer2(const Match& m) {
  return for_integer(m.type(), [](auto t) -> Handler { return binary<Op, decltype(t)>; });
}
template <class Op>
Handler bits2(const Match& m) {
  return for_width(m.type(), [](auto t) -> Handler { return binary<Op, decltype(t)>; });
}
Handler multiply_low(const Match& m) { return size_bytes(m.type()) == 4 ? binary<MulLow32, uint32_t> : bits2<Mul>(m); }
Handler mad_low(const Match& m) {
  if (size_bytes(m.type()) == 4) return ternary<Mad<MulLow32>, uint32_t>;
  return for_width(m.type(), [](auto t) -> Handler { return ternary<Mad<Mul>, decltype(t)>; });
}
Handler mad_high(const Match& m) {
  return for_integer(m.type(), [](auto t) -> Handler { return ternary<Mad<MulHigh>, decltype(t)>; });
}
template <class Op>
Handler integer_unary(const Match& m) {
  return for_integer(m.type(), [](auto t) -> Handler {
    if constexpr (std::is_signed_v<decltype(t)>)
      return unary<Op, decltype(t)>;
    else
      return nullptr;
  });
}
Handler negate(const Match& m) {
  return for_width(m.type(), [](auto t) -> Handler { return unary<Neg, decltype(t)>; });
}
Handler sad(const Match& m) {
  return for_integer(m.type(), [](auto t) -> Handler { return ternary<Sad, decltype(t)>; });
}

Handler multiply_wide(const Match& m) {
  switch (m.type()) {
    case Type::kU16:
      return binary<MulWide, uint32_t, uint16_t>;
    case Type::kS16:
      return binary<MulWide, int32_t, int16_t>;
    case Type::kU32:
      return binary<MulWide, uint64_t, uint32_t>;
    default:
      return binary<MulWide, int64_t, int32_t>;
  }
}
Handler mad_wide(const Match& m) {
  switch (m.type()) {
    case Type::kU16:
      return ternary<Mad<MulWide>, uint32_t, uint16_t>;
    case Type::kS16:
      return ternary<Mad<MulWide>, int32_t, int16_t>;
    case Type::kU32:
      return ternary<Mad<MulWide>, uint64_t, uint32_t>;
    default:
      return ternary<Mad<MulWide>, int64_t, int32_t>;
  }
}
template <class Op>
Handler pair(const Match& m) {
  return m.has(".u16x2") ? binary<Pair<Op, uint16_t>, uint32_t> : binary<Pair<Op, int16_t>, uint32_t>;
}
template <class Op>
Handler mul24(const Match& m) {
  return m.has(".u32") ? binary<Op, uint32_t> : binary<Op, int32_t>;
}
template <class Op>
Handler mad24(const Match& m) {
  return m.has(".u32") ? ternary<Mad<Op>, uint32_t> : ternary<Mad<Op>, int32_t>;
}

Handler dot4(const Match& m) {
  const bool a = m.last(1) == ".s32", b = m.last() == ".s32";
  if (a) return b ? ternary<Dot4<int8_t, int8_t>, uint32_t> : ternary<Dot4<int8_t, uint8_t>, uint32_t>;
  return b ? ternary<Dot4<uint8_t, int8_t>, uint32_t> : ternary<Dot4<uint8_t, uint8_t>, uint32_t>;
}
template <int kShift>
Handler dot2(const Match& m) {
  const bool a = m.last(1) == ".s32", b = m.last() == ".s32";
  if (a)
    return b ? ternary<Dot2<int16_t, int8_t, kShift>, uint32_t> : ternary<Dot2<int16_t, uint8_t, kShift>, uint32_t>;
  return b ? ternary<Dot2<uint16_t, int8_t, kShift>, uint32_t> : ternary<Dot2<uint16_t, uint8_t, kShift>, uint32_t>;
}

}  // namespace

const Forms& integer_forms() {
  static const Forms forms = {
      {"add(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t", bits2<Add>},
      {"add(.u16x2,.s16x2)", "b32 b32 b32", pair<Add>},
      {"add.sat.s32", "s32 s32 s32", [](const Match&) -> Handler { return binary<AddSaturated, int32_t>; }},
      {"sub(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t", bits2<Sub>},
      {"sub.sat.s32", "s32 s32 s32", [](const Match&) -> Handler { return binary<SubSaturated, int32_t>; }},
      {"mul.lo(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t", multiply_low},
      {"mul.hi(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t", integer2<MulHigh>},
      {"mul.wide(.u16,.u32,.s16,.s32)", "w t t", multiply_wide},
      {"mad.lo(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t t", mad_low},
      {"mad.hi(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t t", mad_high},
      {"mad.hi.sat.s32", "s32 s32 s32 s32", [](const Match&) -> Handler { return ternary<MadHighSaturated, int32_t>; }},
      {"mad.wide(.u16,.u32,.s16,.s32)", "w t t w", mad_wide},
      {"mul24.lo(.u32,.s32)", "t t t", mul24<Mul24Low>},
      {"mul24.hi(.u32,.s32)", "t t t", mul24<Mul24High>},
      {"mad24.lo(.u32,.s32)", "t t t t", mad24<Mul24Low>},
      {"mad24.hi(.u32,.s32)", "t t t t", mad24<Mul24High>},
      {"div(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t", integer2<Div>},
      {"rem(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t", integer2<Rem>},
      {"sad(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t t", sad},
      {"abs(.s16,.s32,.s64)", "t t", integer_unary<Abs>},
      {"neg(.s16,.s32,.s64)", "t t", negate},
      {"min(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t", integer2<Min>},
      {"max(.u16,.u32,.u64,.s16,.s32,.s64)", "t t t", integer2<Max>},
      {"min(.u16x2,.s16x2)", "b32 b32 b32", pair<Min>},
      {"max(.u16x2,.s16x2)", "b32 b32 b32", pair<Max>},
      {"dp4a(.u32,.s32)(.u32,.s32)", "b32 b32 b32 b32", dot4},
      {"dp2a.lo(.u32,.s32)(.u32,.s32)", "b32 b32 b32 b32", dot2<0>},
      {"dp2a.hi(.u32,.s32)(.u32,.s32)", "b32 b32 b32 b32", dot2<16>},
  };
  return forms;
}

}  // namespace winnow::gpusim
