// Arithmetic on f16 and bf16, alone and in pairs. Each result is rounded once.
#include "exec/elementwise.h"
#include "exec/half.h"

namespace winnow::gpusim {
namespace {

struct Add {
  static double apply(double a, double b) { return odd_multiply_add(a, 1, b); }
};
struct Sub {
  static double apply(double a, double b) { return odd_multiply_add(b, -1, a); }
};
struct Mul {
  static double apply(double a, double b) { return a * b; }
};
struct Fma {
  static double apply(double a, double b, double c) { return odd_multiply_add(a, b, c); }
};
template <class Op>
struct Saturate {
  template <class... T>
  static double apply(T... x) {
    return saturated(Op::apply(x...));
  }
};
template <class Op>
struct Relu {
  template <class... T>
  static double apply(T... x) {
    const double r = Op::apply(x...);
    return r != r || r > 0 ? r : 0.0;
  }
};
template <bool kNaN>
struct Min {
  static double apply(double a, double b) { return minimum<kNaN>(a, b); }
};
template <bool kNaN>
struct Max {
  static double apply(double a, double b) { return maximum<kNaN>(a, b); }
};
struct Exp2 {
  static double apply(double a) { return std::exp2(a); }
};
struct Tanh {
  static double apply(double a) { return std::tanh(a); }
};
struct Neg {
  template <class H>
  static uint16_t bits(uint16_t a) {
    return a ^ 0x8000;
  }
};
struct Abs {
  template <class H>
  static uint16_t bits(uint16_t a) {
    return a & 0x7FFF;
  }
};

template <class H, bool kFlush>
double operand(uint16_t bits) {
  const float x = H::widen(bits);
  return kFlush && std::fabs(x) < 0x1p-14f ? std::copysign(0.0f, x) : x;
}
template <class H, bool kFlush>
uint16_t result(double x) {
  const uint16_t bits = narrow<H>(x);
  return kFlush && (bits & H::kInfinity) == 0 ? bits & 0x8000 : bits;
}

// One half, or both halves of a 32-bit register.
template <class Op, class H, bool kFlush>
struct One {
  template <class... T>
  static uint16_t apply(T... a) {
    return result<H, kFlush>(Op::apply(operand<H, kFlush>(a)...));
  }
};
template <class Scalar>
struct Two {
  template <class... T>
  static uint32_t apply(T... a) {
    return uint32_t{Scalar::apply(static_cast<uint16_t>(a >> 16)...)} << 16 |
           Scalar::apply(static_cast<uint16_t>(a)...);
  }
};
template <class Op, class H>
struct OneBits {
  static uint16_t apply(uint16_t a) { return Op::template bits<H>(a); }
};

template <class Op, class H, bool kFlush, int kOperands>
Handler packed(const Match& m) {
  using Scalar = One<Op, H, kFlush>;
  const bool two = size_bytes(m.type()) == 4;
  if constexpr (kOperands == 1)
    return two ? unary<Two<Scalar>, uint32_t> : unary<Scalar, uint16_t>;
  else if constexpr (kOperands == 2)
    return two ? binary<Two<Scalar>, uint32_t> : binary<Scalar, uint16_t>;
  else
    return two ? ternary<Two<Scalar>, uint32_t> : ternary<Scalar, uint16_t>;
}
template <class Op, int kOperands>
Handler typed(const Match& m) {
  const bool bf16 = m.type() == Type::kBF16 || m.type() == Type::kBF16x2;
  if (bf16) return m.has(".ftz") ? nullptr : packed<Op, BF16, false, kOperands>(m);
  return m.has(".ftz") ? packed<Op, F16, true, kOperands>(m) : packed<Op, F16, false, kOperands>(m);
}
template <class Op, int kOperands>
Handler arithmetic(const Match& m) {
  if (m.has(".sat")) return typed<Saturate<Op>, kOperands>(m);
  if (m.has(".relu")) return typed<Relu<Op>, kOperands>(m);
  return typed<Op, kOperands>(m);
}
template <template <bool> class Op>
Handler select2(const Match& m) {
  return m.has(".NaN") ? typed<Op<true>, 2>(m) : typed<Op<false>, 2>(m);
}
template <class Op>
Handler sign(const Match& m) {
  return size_bytes(m.type()) == 4 ? unary<Two<OneBits<Op, F16>>, uint32_t> : unary<OneBits<Op, F16>, uint16_t>;
}
// ex2.approx.ftz.bf16 is the only spelling for bf16: its flush changes nothing that exp2 could return differently.
template <class Op>
Handler bf16_function(const Match& m) {
  return packed<Op, BF16, false, 1>(m);
}

}  // namespace

const Forms& half_forms() {
  static const Forms forms = {
      {"add{.rn}{.ftz}{.sat}(.f16,.f16x2)", "t t t", arithmetic<Add, 2>},
      {"sub{.rn}{.ftz}{.sat}(.f16,.f16x2)", "t t t", arithmetic<Sub, 2>},
      {"mul{.rn}{.ftz}{.sat}(.f16,.f16x2)", "t t t", arithmetic<Mul, 2>},
      {"fma.rn{.ftz}{.sat,.relu}(.f16,.f16x2)", "t t t t", arithmetic<Fma, 3>},
      {"add{.rn}(.bf16,.bf16x2)", "t t t", arithmetic<Add, 2>},
      {"sub{.rn}(.bf16,.bf16x2)", "t t t", arithmetic<Sub, 2>},
      {"mul{.rn}(.bf16,.bf16x2)", "t t t", arithmetic<Mul, 2>},
      {"fma.rn{.relu}(.bf16,.bf16x2)", "t t t t", arithmetic<Fma, 3>},
      {"min{.ftz}{.NaN}(.f16,.f16x2)", "t t t", select2<Min>},
      {"max{.ftz}{.NaN}(.f16,.f16x2)", "t t t", select2<Max>},
      {"min{.NaN}(.bf16,.bf16x2)", "t t t", select2<Min>},
      {"max{.NaN}(.bf16,.bf16x2)", "t t t", select2<Max>},
      {"neg(.f16,.f16x2,.bf16,.bf16x2)", "t t", sign<Neg>},
      {"abs(.f16,.f16x2,.bf16,.bf16x2)", "t t", sign<Abs>},
      {"ex2.approx(.f16,.f16x2)", "t t", typed<Exp2, 1>},
      {"ex2.approx.ftz(.bf16,.bf16x2)", "t t", bf16_function<Exp2>},
      {"tanh.approx(.f16,.f16x2)", "t t", typed<Tanh, 1>},
      {"tanh.approx(.bf16,.bf16x2)", "t t", bf16_function<Tanh>},
  };
  return forms;
}

}  // namespace winnow::gpusim
