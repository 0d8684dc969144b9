// Handlers for instructions that compute each lane of the result from the same lane of the operands.
#pragma once

#include "decode/form.h"
#include "exec/warp.h"

namespace winnow::gpusim {

template <class Op, class D, class A = D>
void unary(Warp& w, const Instruction& i, uint32_t lanes) {
  const A* a = w.at<A>(i.op[1]);
  for_lanes(w, lanes, w.at<D>(i.op[0]), [=](int l) { return static_cast<D>(Op::apply(a[l])); });
}

template <class Op, class D, class A = D, class B = A>
void binary(Warp& w, const Instruction& i, uint32_t lanes) {
  const A* a = w.at<A>(i.op[1]);
  const B* b = w.at<B>(i.op[2]);
  for_lanes(w, lanes, w.at<D>(i.op[0]), [=](int l) { return static_cast<D>(Op::apply(a[l], b[l])); });
}

template <class Op, class D, class A = D, class B = A, class C = D>
void ternary(Warp& w, const Instruction& i, uint32_t lanes) {
  const A* a = w.at<A>(i.op[1]);
  const B* b = w.at<B>(i.op[2]);
  const C* c = w.at<C>(i.op[3]);
  for_lanes(w, lanes, w.at<D>(i.op[0]), [=](int l) { return static_cast<D>(Op::apply(a[l], b[l], c[l])); });
}

// f(T{}) for the C++ type of an integer type of 16 to 64 bits; bits count as unsigned.
template <class F>
Handler for_integer(Type type, F f) {
  switch (type) {
    case Type::kU16:
    case Type::kB16:
      return f(uint16_t{});
    case Type::kS16:
      return f(int16_t{});
    case Type::kU32:
    case Type::kB32:
      return f(uint32_t{});
    case Type::kS32:
      return f(int32_t{});
    case Type::kU64:
    case Type::kB64:
      return f(uint64_t{});
    case Type::kS64:
      return f(int64_t{});
    default:
      return nullptr;
  }
}

// The same where signed and unsigned give the same bits.
template <class F>
Handler for_width(Type type, F f) {
  switch (size_bytes(type)) {
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    case 8:
      return f(uint64_t{});
    default:
      return nullptr;
  }
}

}  // namespace winnow::gpusim
