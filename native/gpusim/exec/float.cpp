// f32 and f64 arithmetic with IEEE results; approximate instructions are in approximate.cpp.
#include "exec/elementwise.h"
#include "exec/float_bits.h"
#include "exec/float_mode.h"

namespace winnow::gpusim {
namespace {

struct Add {
  template <class T>
  static T apply(T a, T b) {
    return canonical(a + b);
  }
};
struct Sub {
  template <class T>
  static T apply(T a, T b) {
    return canonical(a - b);
  }
};
struct Mul {
  template <class T>
  static T apply(T a, T b) {
    return canonical(a * b);
  }
};
struct Div {
  template <class T>
  static T apply(T a, T b) {
    return canonical(a / b);
  }
};
struct Fma {
  static float apply(float a, float b, float c) { return canonical(__builtin_fmaf(a, b, c)); }
  static double apply(double a, double b, double c) { return __builtin_fma(a, b, c); }
};
struct Reciprocal {
  template <class T>
  static T apply(T a) {
    return canonical(T{1} / a);
  }
};
struct SquareRoot {
  static float apply(float a) { return canonical(__builtin_sqrtf(a)); }
  static double apply(double a) { return __builtin_sqrt(a); }
};
struct Abs {
  template <class T>
  static T apply(T a) {
    return std::fabs(a);
  }
};
struct Neg {
  template <class T>
  static T apply(T a) {
    return -a;
  }
};
template <bool kNaN>
struct Min {
  template <class T>
  static T apply(T a, T b) {
    return minimum<kNaN>(a, b);
  }
};
template <bool kNaN>
struct Max {
  template <class T>
  static T apply(T a, T b) {
    return maximum<kNaN>(a, b);
  }
};
struct CopySign {
  template <class T>
  static T apply(T a, T b) {
    return std::copysign(b, a);
  }
};  // the sign of a, the value of b

template <class Op>
struct Saturate {
  template <class... T>
  static auto apply(T... operands) {
    return saturated(Op::apply(operands...));
  }
};
// For instructions that move bits, which MXCSR does not flush.
template <class Op>
struct Flush {
  template <class... T>
  static auto apply(T... operands) {
    return flushed(Op::apply(flushed(operands)...));
  }
};

template <class Op, class T>
Handler arithmetic1(const Match& m) {
  return with_mode<unary<Op, T>>(m);
}
template <class Op>
Handler arithmetic2(const Match& m) {
  if (m.has(".f64")) return with_mode<binary<Op, double>>(m);
  return m.has(".sat") ? with_mode<binary<Saturate<Op>, float>>(m) : with_mode<binary<Op, float>>(m);
}
Handler multiply_add(const Match& m) {
  if (m.has(".f64")) return with_mode<ternary<Fma, double>>(m);
  return m.has(".sat") ? with_mode<ternary<Saturate<Fma>, float>>(m) : with_mode<ternary<Fma, float>>(m);
}
template <class Op>
Handler move1(const Match& m) {
  if (m.has(".f64")) return unary<Op, double>;
  return m.has(".ftz") ? unary<Flush<Op>, float> : unary<Op, float>;
}
template <template <bool> class Op>
Handler select2(const Match& m) {
  if (m.has(".f64")) return binary<Op<false>, double>;
  if (m.has(".NaN")) return m.has(".ftz") ? binary<Flush<Op<true>>, float> : binary<Op<true>, float>;
  return m.has(".ftz") ? binary<Flush<Op<false>>, float> : binary<Op<false>, float>;
}
Handler copy_sign(const Match& m) { return m.has(".f64") ? binary<CopySign, double> : binary<CopySign, float>; }

template <int kKind>
void test_property(Warp& w, const Instruction& i, uint32_t lanes) {
  const float* a = w.at<float>(i.op[1]);
  set_predicate(w.predicate(i.op[0]), lanes, [=](int l) -> bool {
    switch (kKind) {
      case 0:
        return std::isfinite(a[l]);
      case 1:
        return std::isinf(a[l]);
      case 2:
        return !std::isnan(a[l]);
      case 3:
        return std::isnan(a[l]);
      case 4:
        return std::isnormal(a[l]);
      default:
        return std::fpclassify(a[l]) == FP_SUBNORMAL;
    }
  });
}
Handler test_property_of(const Match& m) {
  constexpr std::string_view kNames[] = {".finite", ".infinite", ".number", ".notanumber", ".normal", ".subnormal"};
  constexpr Handler kHandlers[] = {test_property<0>, test_property<1>, test_property<2>,
                                   test_property<3>, test_property<4>, test_property<5>};
  for (int k = 0; k < 6; ++k) {
    if (m.groups[0] == kNames[k]) return kHandlers[k];
  }
  return nullptr;
}

}  // namespace

const Forms& float_forms() {
  static const Forms forms = {
      {"add{.rn,.rz,.rm,.rp}{.ftz}{.sat}.f32", "f32 f32 f32", arithmetic2<Add>},
      {"sub{.rn,.rz,.rm,.rp}{.ftz}{.sat}.f32", "f32 f32 f32", arithmetic2<Sub>},
      {"mul{.rn,.rz,.rm,.rp}{.ftz}{.sat}.f32", "f32 f32 f32", arithmetic2<Mul>},
      {"fma(.rn,.rz,.rm,.rp){.ftz}{.sat}.f32", "f32 f32 f32 f32", multiply_add},
      {"mad(.rn,.rz,.rm,.rp){.ftz}{.sat}.f32", "f32 f32 f32 f32", multiply_add},
      {"div(.rn,.rz,.rm,.rp){.ftz}.f32", "f32 f32 f32", arithmetic2<Div>},
      {"rcp(.rn,.rz,.rm,.rp){.ftz}.f32", "f32 f32", arithmetic1<Reciprocal, float>},
      {"sqrt(.rn,.rz,.rm,.rp){.ftz}.f32", "f32 f32", arithmetic1<SquareRoot, float>},
      {"abs{.ftz}.f32", "f32 f32", move1<Abs>},
      {"neg{.ftz}.f32", "f32 f32", move1<Neg>},
      {"min{.ftz}{.NaN}.f32", "f32 f32 f32", select2<Min>},
      {"max{.ftz}{.NaN}.f32", "f32 f32 f32", select2<Max>},
      {"copysign(.f32,.f64)", "t t t", copy_sign},
      {"testp(.finite,.infinite,.number,.notanumber,.normal,.subnormal).f32", "pred f32", test_property_of},

      {"add{.rn,.rz,.rm,.rp}(.f64)", "t t t", arithmetic2<Add>},
      {"sub{.rn,.rz,.rm,.rp}(.f64)", "t t t", arithmetic2<Sub>},
      {"mul{.rn,.rz,.rm,.rp}(.f64)", "t t t", arithmetic2<Mul>},
      {"fma(.rn,.rz,.rm,.rp)(.f64)", "t t t t", multiply_add},
      {"mad(.rn,.rz,.rm,.rp)(.f64)", "t t t t", multiply_add},
      {"div(.rn,.rz,.rm,.rp)(.f64)", "t t t", arithmetic2<Div>},
      {"rcp(.rn,.rz,.rm,.rp)(.f64)", "t t", arithmetic1<Reciprocal, double>},
      {"sqrt(.rn,.rz,.rm,.rp)(.f64)", "t t", arithmetic1<SquareRoot, double>},
      {"abs(.f64)", "t t", move1<Abs>},
      {"neg(.f64)", "t t", move1<Neg>},
      {"min(.f64)", "t t t", select2<Min>},
      {"max(.f64)", "t t t", select2<Max>},
  };
  return forms;
}

}  // namespace winnow::gpusim
