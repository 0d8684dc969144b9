// Approximate functions. A GPU's results differ in the last bits and are not documented bit by bit: these are the exact
// values rounded, and tests of kernels keep a tolerance.
#include "exec/elementwise.h"
#include "exec/float_bits.h"
#include "exec/float_mode.h"

namespace winnow::gpusim {
namespace {

struct Exp2 {
  static float apply(float a) { return canonical(std::exp2(a)); }
};
struct Log2 {
  static float apply(float a) { return canonical(std::log2(a)); }
};
struct Sin {
  static float apply(float a) { return canonical(std::sin(a)); }
};
struct Cos {
  static float apply(float a) { return canonical(std::cos(a)); }
};
struct Tanh {
  static float apply(float a) { return canonical(std::tanh(a)); }
};
struct Reciprocal {
  template <class T>
  static T apply(T a) {
    return canonical(T{1} / a);
  }
};
struct SquareRoot {
  static float apply(float a) { return canonical(__builtin_sqrtf(a)); }
};
struct ReciprocalRoot {
  static float apply(float a) { return canonical(static_cast<float>(1.0 / __builtin_sqrt(double{a}))); }
  static double apply(double a) { return 1.0 / __builtin_sqrt(a); }
};
struct Divide {
  static float apply(float a, float b) { return canonical(a / b); }
};
// Without .ftz the argument's denormals count and the result's are kept; with it both are flushed, also inside library
// calls.
template <class Op>
struct Flush {
  static float apply(float a) { return flushed(Op::apply(flushed(a))); }
};

template <class Op>
Handler function(const Match& m) {
  return m.has(".ftz") ? unary<Flush<Op>, float> : unary<Op, float>;
}
template <class Op>
Handler f64_function(const Match&) {
  return unary<Op, double>;
}

}  // namespace

const Forms& approximate_forms() {
  static const Forms forms = {
      {"ex2.approx{.ftz}.f32", "f32 f32", function<Exp2>},
      {"lg2.approx{.ftz}.f32", "f32 f32", function<Log2>},
      {"sin.approx{.ftz}.f32", "f32 f32", function<Sin>},
      {"cos.approx{.ftz}.f32", "f32 f32", function<Cos>},
      {"tanh.approx.f32", "f32 f32", function<Tanh>},
      {"rcp.approx{.ftz}.f32", "f32 f32", function<Reciprocal>},
      {"rcp.approx.ftz.f64", "f64 f64", f64_function<Reciprocal>},
      {"sqrt.approx{.ftz}.f32", "f32 f32", function<SquareRoot>},
      {"rsqrt.approx{.ftz}.f32", "f32 f32", function<ReciprocalRoot>},
      {"rsqrt.approx.f64", "f64 f64", f64_function<ReciprocalRoot>},
      {"rsqrt.approx.ftz.f64", "f64 f64", f64_function<ReciprocalRoot>},
      {"div.approx{.ftz}.f32", "f32 f32 f32", [](const Match& m) { return with_mode<binary<Divide, float>>(m); }},
      {"div.full{.ftz}.f32", "f32 f32 f32", [](const Match& m) { return with_mode<binary<Divide, float>>(m); }},
  };
  return forms;
}

}  // namespace winnow::gpusim
