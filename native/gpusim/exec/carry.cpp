// Arithmetic with the carry flag, for numbers wider than a register. The flag is one bit per lane; a subtraction sets
// it on borrow.
#include "exec/elementwise.h"

namespace winnow::gpusim {
namespace {

template <class T>
struct Wider;
template <>
struct Wider<uint32_t> {
  using type = uint64_t;
};
template <>
struct Wider<uint64_t> {
  using type = unsigned __int128;
};
template <>
struct Wider<int32_t> {
  using type = int64_t;
};
template <>
struct Wider<int64_t> {
  using type = __int128;
};

constexpr uint8_t kReadsCarry = 1, kWritesCarry = 2;

// d = a + b + carry or a - b - borrow, and what does not fit.
template <class T>
T add(T a, T b, bool carry, bool& out) {
  const auto sum = static_cast<typename Wider<T>::type>(a) + b + carry;
  out = sum >> (8 * sizeof(T)) != 0;
  return static_cast<T>(sum);
}
template <class T>
T subtract(T a, T b, bool borrow, bool& out) {
  const auto difference = static_cast<typename Wider<T>::type>(a) - b - borrow;
  out = difference >> (8 * sizeof(T)) != 0;
  return static_cast<T>(difference);
}

template <class T, class F>
void with_carry(Warp& w, uint32_t lanes, T* d, uint8_t flags, F f) {
  uint32_t carry = 0;
  for (int l = 0; l < kWarpSize; ++l) {
    if ((lanes >> l & 1) == 0) continue;
    bool out = false;
    d[l] = f(l, (flags & kReadsCarry) != 0 && (w.carry >> l & 1) != 0, out);
    carry |= static_cast<uint32_t>(out) << l;
  }
  if ((flags & kWritesCarry) != 0) w.carry = (w.carry & ~lanes) | carry;
}

template <class T, uint8_t kFlags, bool kSubtracts>
void sum(Warp& w, const Instruction& i, uint32_t lanes) {
  const T *a = w.at<T>(i.op[1]), *b = w.at<T>(i.op[2]);
  with_carry(w, lanes, w.at<T>(i.op[0]), kFlags, [=](int l, bool carry, bool& out) {
    return kSubtracts ? subtract(a[l], b[l], carry, out) : add(a[l], b[l], carry, out);
  });
}

// The product's half that .lo or .hi names, plus c. S gives the product its signedness.
template <class T, class S, uint8_t kFlags, bool kHigh>
void product_sum(Warp& w, const Instruction& i, uint32_t lanes) {
  const S *a = w.at<S>(i.op[1]), *b = w.at<S>(i.op[2]);
  const T* c = w.at<T>(i.op[3]);
  with_carry(w, lanes, w.at<T>(i.op[0]), kFlags, [=](int l, bool carry, bool& out) {
    const auto product = static_cast<typename Wider<S>::type>(a[l]) * b[l];
    return add(static_cast<T>(kHigh ? product >> (8 * sizeof(T)) : product), c[l], carry, out);
  });
}

template <uint8_t kFlags, bool kSubtracts>
Handler sum_of(const Match& m) {
  return size_bytes(m.type()) == 4 ? sum<uint32_t, kFlags, kSubtracts> : sum<uint64_t, kFlags, kSubtracts>;
}
template <uint8_t kFlags, bool kHigh>
Handler product_of(const Match& m) {
  switch (m.type()) {
    case Type::kU32:
      return product_sum<uint32_t, uint32_t, kFlags, kHigh>;
    case Type::kS32:
      return product_sum<uint32_t, int32_t, kFlags, kHigh>;
    case Type::kU64:
      return product_sum<uint64_t, uint64_t, kFlags, kHigh>;
    default:
      return product_sum<uint64_t, int64_t, kFlags, kHigh>;
  }
}

}  // namespace

const Forms& carry_forms() {
  static const Forms forms = {
      {"add.cc(.u32,.s32,.u64,.s64)", "t t t", sum_of<kWritesCarry, false>},
      {"addc(.u32,.s32,.u64,.s64)", "t t t", sum_of<kReadsCarry, false>},
      {"addc.cc(.u32,.s32,.u64,.s64)", "t t t", sum_of<kReadsCarry | kWritesCarry, false>},
      {"sub.cc(.u32,.s32,.u64,.s64)", "t t t", sum_of<kWritesCarry, true>},
      {"subc(.u32,.s32,.u64,.s64)", "t t t", sum_of<kReadsCarry, true>},
      {"subc.cc(.u32,.s32,.u64,.s64)", "t t t", sum_of<kReadsCarry | kWritesCarry, true>},
      {"mad.lo.cc(.u32,.s32,.u64,.s64)", "t t t t", product_of<kWritesCarry, false>},
      {"mad.hi.cc(.u32,.s32,.u64,.s64)", "t t t t", product_of<kWritesCarry, true>},
      {"madc.lo(.u32,.s32,.u64,.s64)", "t t t t", product_of<kReadsCarry, false>},
      {"madc.hi(.u32,.s32,.u64,.s64)", "t t t t", product_of<kReadsCarry, true>},
      {"madc.lo.cc(.u32,.s32,.u64,.s64)", "t t t t", product_of<kReadsCarry | kWritesCarry, false>},
      {"madc.hi.cc(.u32,.s32,.u64,.s64)", "t t t t", product_of<kReadsCarry | kWritesCarry, true>},
  };
  return forms;
}

}  // namespace winnow::gpusim
