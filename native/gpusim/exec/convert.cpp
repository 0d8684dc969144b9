// cvt. Integers wrap or saturate; floats to integers clamp; a destination register may be wider than the type:
// it then receives the value sign- or zero-extended.
#include <limits>

#include "decode/encoder.h"
#include "exec/elementwise.h"
#include "exec/float_mode.h"
#include "exec/half.h"

namespace winnow::gpusim {
namespace {

constexpr unsigned kKeepFraction = 0xFF;  // no rounding to an integral value

// What a cvt does, beyond its types.
struct Flags {
  static constexpr uint8_t kSaturate = 1, kFlush = 2, kRelu = 4;
};

template <class T>
struct Half {
  using Format = T;
  uint16_t bits;
};

template <class D, class A>
D clamp_to(A a) {
  using L = std::numeric_limits<D>;
  if constexpr (std::is_floating_point_v<A>) {
    // The manual: zero, but the top bit alone when either type has 64 bits.
    if (a != a) return sizeof(D) == 8 || sizeof(A) == 8 ? static_cast<D>(uint64_t{1} << (8 * sizeof(D) - 1)) : D{0};
    // 2^(bits) as a float is exact; the largest value may not be.
    const A above = std::ldexp(A{1}, L::digits);
    if (a >= above) return L::max();
    if (a < static_cast<A>(L::min())) return L::min();
    return static_cast<D>(a);
  } else {
    const auto wide = static_cast<__int128>(a);
    return wide > static_cast<__int128>(L::max())   ? L::max()
           : wide < static_cast<__int128>(L::min()) ? L::min()
                                                    : static_cast<D>(a);
  }
}

template <class T>
T load(const T* p) {
  return *p;
}
template <class H>
float load(const Half<H>* p) {
  return H::widen(p->bits);
}

// One lane; `round` is the rounding of floats to integral values, as for roundss.
template <class D, class A>
struct Convert {
  static D apply(const A* source, uint8_t flags, int round) {
    auto a = load(source);
    using From = decltype(a);
    if constexpr (std::is_same_v<From, float>) {
      if ((flags & Flags::kFlush) != 0) a = flushed(a);
    }
    if constexpr (std::is_floating_point_v<From>) {
      switch (round) {
        case _MM_FROUND_TO_NEAREST_INT:
          a = std::nearbyint(a);
          break;
        case _MM_FROUND_TO_NEG_INF:
          a = std::floor(a);
          break;
        case _MM_FROUND_TO_POS_INF:
          a = std::ceil(a);
          break;
        case _MM_FROUND_TO_ZERO:
          a = std::trunc(a);
          break;
        default:
          break;
      }
    }
    if constexpr (std::is_integral_v<D>) {
      if constexpr (std::is_integral_v<From>) {
        return (flags & Flags::kSaturate) != 0 ? clamp_to<D>(a) : static_cast<D>(a);
      } else {
        return clamp_to<D>(a);
      }
    } else if constexpr (std::is_floating_point_v<D>) {
      D d = static_cast<D>(a);
      if (d != d && (flags & Flags::kSaturate) == 0) return canonical(d);
      if constexpr (std::is_same_v<D, float>) {
        if ((flags & Flags::kFlush) != 0) d = flushed(d);
      }
      return (flags & Flags::kSaturate) != 0 ? saturated(d) : d;
    } else {
      using H = typename D::Format;
      auto x = static_cast<double>(a);
      if ((flags & Flags::kSaturate) != 0) x = saturated(x);
      if ((flags & Flags::kRelu) != 0 && x <= 0) x = 0;  // of -0 too
      // f64 and 64-bit integers: the caller's double is exact for all but 64-bit integers far above the largest half.
      return D{narrow<H>(x)};
    }
  }
};

// immediate: MXCSR in the low half, integral rounding above; address_bytes and bytes: strides of the source and the
// destination.
template <class D, class A>
void convert(Warp& w, const Instruction& i, uint32_t lanes) {
  const int round = static_cast<int>(i.immediate >> 32);
  const uint8_t* a = w.at<uint8_t>(i.op[1]);
  uint8_t* d = w.at<uint8_t>(i.op[0]);
  for (int l = 0; l < kWarpSize; ++l) {
    if ((lanes >> l & 1) == 0) continue;
    const D r = Convert<D, A>::apply(reinterpret_cast<const A*>(a + l * i.address_bytes), i.flags, round);
    if constexpr (std::is_integral_v<D>) {
      const auto extended = static_cast<int64_t>(r);
      std::memcpy(d + l * i.bytes, &extended, i.bytes);
    } else {
      const std::conditional_t<sizeof(D) == 2, uint64_t, D> wide = [&] {
        if constexpr (sizeof(D) == 2)
          return uint64_t{r.bits};
        else
          return r;
      }();
      std::memcpy(d + l * i.bytes, &wide, sizeof(D) == 2 ? i.bytes : sizeof(D));
    }
  }
}

// Integers and nearest rounding with every register as wide as its type: the compiler vectorises this.
template <class D, class A>
void convert_plain(Warp& w, const Instruction& i, uint32_t lanes) {
  const A* a = w.at<A>(i.op[1]);
  for_lanes(w, lanes, w.at<D>(i.op[0]), [=](int l) { return static_cast<D>(a[l]); });
}

template <class D, class A>
Handler choose(bool plain, bool nearest) {
  constexpr bool kVectorises = std::is_arithmetic_v<D> && std::is_arithmetic_v<A> && sizeof(D) > 1 && sizeof(A) > 1 &&
                               !(std::is_integral_v<D> && std::is_floating_point_v<A>)&&!(std::is_floating_point_v<D> &&
                                                                                          std::is_floating_point_v<A>);
  if constexpr (kVectorises) {
    if (plain) return convert_plain<D, A>;
  }
  return nearest ? convert<D, A> : in_mode<convert<D, A>>;
}

template <class F>
Handler for_type(Type type, F f) {
  switch (type) {
    case Type::kU8:
      return f(uint8_t{});
    case Type::kS8:
      return f(int8_t{});
    case Type::kF16:
      return f(Half<F16>{});
    case Type::kBF16:
      return f(Half<BF16>{});
    case Type::kF32:
      return f(float{});
    case Type::kF64:
      return f(double{});
    default:
      return for_integer(type, f);
  }
}

Handler pick(Type d, Type a, bool plain, bool nearest) {
  return for_type(d, [&](auto to) {
    return for_type(a, [&](auto from) { return choose<decltype(to), decltype(from)>(plain, nearest); });
  });
}

void encode_convert(Encoder& e) {
  e.require_operands(2, 2);
  const Match& m = e.match;
  const Type to = m.type(1), from = m.type();
  e.define(0, e.operand(0), to, true);
  e.use(1, e.operand(1), from, true);
  e.out.bytes = static_cast<uint8_t>(e.register_bytes(e.operand(0)));
  const uint32_t source = e.register_bytes(e.operand(1));
  e.out.address_bytes = static_cast<uint8_t>(source != 0 ? source : storage_bytes(from));
  if (e.out.bytes == 0) e.out.bytes = static_cast<uint8_t>(storage_bytes(to));
  e.out.flags = static_cast<uint8_t>((m.has(".sat") ? Flags::kSaturate : 0) | (m.has(".ftz") ? Flags::kFlush : 0) |
                                     (m.has(".relu") ? Flags::kRelu : 0));
  unsigned integral = kKeepFraction;
  if (m.has(".rni")) integral = _MM_FROUND_TO_NEAREST_INT;
  if (m.has(".rmi")) integral = _MM_FROUND_TO_NEG_INF;
  if (m.has(".rpi")) integral = _MM_FROUND_TO_POS_INF;
  if (m.has(".rzi")) integral = _MM_FROUND_TO_ZERO;
  unsigned mode = kNearest | (m.has(".rm") ? kDown : m.has(".rp") ? kUp : m.has(".rz") ? kTowardsZero : 0);
  e.out.immediate = static_cast<int64_t>(mode) | static_cast<int64_t>(integral) << 32;
  const bool plain =
      e.out.flags == 0 && mode == kNearest && e.out.bytes == size_bytes(to) && e.out.address_bytes == size_bytes(from);
  e.out.run = pick(to, from, plain, mode == kNearest);
}

// Two f32 to a pair: the first source becomes the upper half.
template <class H, bool kRelu>
void convert_pair(Warp& w, const Instruction& i, uint32_t lanes) {
  const float *a = w.at<float>(i.op[1]), *b = w.at<float>(i.op[2]);
  const auto one = [](float x) -> uint32_t {
    if (kRelu && x <= 0) x = 0;
    if constexpr (std::is_same_v<H, BF16>)
      return narrow_bf16(x);
    else
      return narrow_f16(x);
  };
  for_lanes(w, lanes, w.at<uint32_t>(i.op[0]), [=](int l) { return one(a[l]) << 16 | one(b[l]); });
}
template <class H>
void convert_narrow(Warp& w, const Instruction& i, uint32_t lanes) {
  const float* a = w.at<float>(i.op[1]);
  for_lanes(w, lanes, w.at<uint16_t>(i.op[0]), [=](int l) {
    if constexpr (std::is_same_v<H, BF16>)
      return narrow_bf16(a[l]);
    else
      return narrow_f16(a[l]);
  });
}
void convert_widen_f16(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint16_t* a = w.at<uint16_t>(i.op[1]);
  for_lanes(w, lanes, w.at<float>(i.op[0]), [=](int l) { return canonical(F16::widen(a[l])); });
}
// Nearest, ties away from zero, to 10 bits of mantissa.
void convert_tf32(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint32_t* a = w.at<uint32_t>(i.op[1]);
  for_lanes(w, lanes, w.at<uint32_t>(i.op[0]), [=](int l) {
    const bool nan = (a[l] & 0x7FFF'FFFF) > 0x7F80'0000;
    return nan ? 0x7FFF'FFFF : (a[l] + 0x1000) & 0xFFFF'E000;
  });
}

template <class H>
Handler pair_of(const Match& m) {
  return m.has(".relu") ? convert_pair<H, true> : convert_pair<H, false>;
}

}  // namespace

const Forms& convert_forms() {
  static const Forms forms = {
      {"cvt{.sat}(.u8,.u16,.u32,.u64,.s8,.s16,.s32,.s64)(.u8,.u16,.u32,.u64,.s8,.s16,.s32,.s64)", nullptr, nullptr,
       encode_convert},
      {"cvt(.rn,.rz,.rm,.rp){.sat}(.f32,.f64,.f16,.bf16)(.u8,.u16,.u32,.u64,.s8,.s16,.s32,.s64)", nullptr, nullptr,
       encode_convert},
      {"cvt(.rni,.rzi,.rmi,.rpi){.ftz}{.sat}(.u8,.u16,.u32,.u64,.s8,.s16,.s32,.s64)(.f32)", nullptr, nullptr,
       encode_convert},
      {"cvt(.rni,.rzi,.rmi,.rpi){.sat}(.u8,.u16,.u32,.u64,.s8,.s16,.s32,.s64)(.f64,.f16,.bf16)", nullptr, nullptr,
       encode_convert},
      {"cvt{.rni,.rzi,.rmi,.rpi}{.ftz}{.sat}(.f32)(.f32)", nullptr, nullptr, encode_convert},
      {"cvt{.rni,.rzi,.rmi,.rpi}{.sat}(.f64)(.f64)", nullptr, nullptr, encode_convert},
      {"cvt{.rni,.rzi,.rmi,.rpi}{.sat}(.f16)(.f16)", nullptr, nullptr, encode_convert},
      {"cvt{.ftz}{.sat}(.f64)(.f32)", nullptr, nullptr, encode_convert},
      {"cvt(.rn,.rz,.rm,.rp){.ftz}{.sat}(.f32)(.f64)", nullptr, nullptr, encode_convert},
      {"cvt.f32.f16", "f32 b16", [](const Match&) -> Handler { return convert_widen_f16; }},
      {"cvt{.ftz}{.sat}(.f32)(.f16,.bf16)", nullptr, nullptr, encode_convert},
      {"cvt(.f64)(.f16,.bf16)", nullptr, nullptr, encode_convert},
      {"cvt.rn.f16.f32", "b16 f32", [](const Match&) -> Handler { return convert_narrow<F16>; }},
      {"cvt.rn.bf16.f32", "b16 f32", [](const Match&) -> Handler { return convert_narrow<BF16>; }},
      {"cvt(.rn,.rz,.rm,.rp){.ftz}{.sat}(.f16)(.f32,.f64)", nullptr, nullptr, encode_convert},
      {"cvt(.rn,.rz,.rm,.rp){.relu}(.bf16)(.f32,.f64)", nullptr, nullptr, encode_convert},
      {"cvt.rn{.relu}.f16x2.f32", "b32 f32 f32", pair_of<F16>},
      {"cvt.rn{.relu}.bf16x2.f32", "b32 f32 f32", pair_of<BF16>},
      {"cvt.rna.tf32.f32", "b32 f32", [](const Match&) -> Handler { return convert_tf32; }},
  };
  return forms;
}

}  // namespace winnow::gpusim
