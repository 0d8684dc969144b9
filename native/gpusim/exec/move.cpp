// mov, packing and unpacking of vectors, addresses.
#include "decode/encoder.h"
#include "exec/block.h"
#include "exec/elementwise.h"

namespace winnow::gpusim {
namespace {

struct Same {
  template <class T>
  static T apply(T a) {
    return a;
  }
};
Handler move_of(const Match& m) {
  return for_width(m.type(), [](auto t) -> Handler { return unary<Same, decltype(t)>; });
}

void move_predicate(Warp& w, const Instruction& i, uint32_t lanes) {
  uint32_t& d = w.predicate(i.op[0]);
  d = (d & ~lanes) | (w.predicate(i.op[1]) & lanes);
}

// d = {list[0], list[1], ...}, the first in the lowest bits.
template <class D, class Part>
void pack(Warp& w, const Instruction& i, uint32_t lanes) {
  constexpr int kParts = sizeof(D) / sizeof(Part);
  const Part* part[kParts];
  for (int k = 0; k < kParts; ++k) part[k] = w.at<Part>(i.list[k]);
  for_lanes(w, lanes, w.at<D>(i.op[0]), [&](int l) {
    D d = 0;
    for (int k = 0; k < kParts; ++k)
      d = static_cast<D>(d | static_cast<D>(part[k][l]) << (8 * sizeof(Part) * static_cast<size_t>(k)));
    return d;
  });
}
template <class D, class Part>
void unpack(Warp& w, const Instruction& i, uint32_t lanes) {
  const D* a = w.at<D>(i.op[0]);
  for (size_t k = 0; k < sizeof(D) / sizeof(Part); ++k) {
    for_lanes(w, lanes, w.at<Part>(i.list[k]),
              [=](int l) { return static_cast<Part>(a[l] >> (8 * sizeof(Part) * k)); });
  }
}

// Cycles are not simulated: the clock counts the warp's instructions.
template <class T>
void read_clock(Warp& w, const Instruction& i, uint32_t lanes) {
  const auto now = static_cast<T>(w.warp_instructions);
  for_lanes(w, lanes, w.at<T>(i.op[0]), [=](int) { return now; });
}

void encode_move(Encoder& e) {
  e.require_operands(2, 2);
  const Type type = e.match.type();
  const Operand &d = e.operand(0), &a = e.operand(1);
  const bool wide = size_bytes(type) == 8;
  const auto part_type = [&](const Operand& vector) {
    const size_t parts = vector.elements.size();
    if (size_bytes(type) == 4 && parts == 2) return Type::kB16;
    if (size_bytes(type) == 8 && parts == 2) return Type::kB32;
    if (size_bytes(type) == 8 && parts == 4) return Type::kB16;
    e.fail("unsupported number of elements");
  };
  if (a.kind == Operand::kVector) {
    const Type part = part_type(a);
    e.define(0, d, type);
    e.use_list(a, part);
    e.out.run = !wide                ? pack<uint32_t, uint16_t>
                : part == Type::kB32 ? pack<uint64_t, uint32_t>
                                     : pack<uint64_t, uint16_t>;
  } else if (d.kind == Operand::kVector) {
    const Type part = part_type(d);
    e.use(0, a, type);
    e.define_list(d, part);
    e.out.run = !wide                ? unpack<uint32_t, uint16_t>
                : part == Type::kB32 ? unpack<uint64_t, uint32_t>
                                     : unpack<uint64_t, uint16_t>;
  } else if (a.kind == Operand::kSpecial &&
             (a.text == "%clock" || a.text == "%clock64" || a.text == "%globaltimer" || a.text == "%clock_hi")) {
    e.define(0, d, type);
    e.out.run = wide ? read_clock<uint64_t> : read_clock<uint32_t>;
  } else {
    e.define(0, d, type);
    e.use(1, a, type);
    e.out.run = move_of(e.match);
  }
}

// Generic address = address in its space + the space's window. Global and constant addresses are generic as they are.
uint64_t window_of(std::string_view space) {
  if (space == ".shared" || space == ".shared::cta") return kSharedWindow;
  if (space == ".local") return kLocalWindow;
  return space == ".param" ? kParamWindow : 0;
}
void add_window(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint64_t* a = w.at<uint64_t>(i.op[1]);
  const auto window = static_cast<uint64_t>(i.immediate);
  for_lanes(w, lanes, w.at<uint64_t>(i.op[0]), [=](int l) { return a[l] + window; });
}
void encode_cvta(Encoder& e) {
  e.require_operands(2, 2);
  const bool to_space = e.match.has(".to");
  e.define(0, e.operand(0), Type::kU64);
  e.use(1, e.operand(1), Type::kU64);
  const uint64_t window = window_of(e.match.groups[1]);
  e.out.immediate = static_cast<int64_t>(to_space ? 0 - window : window);
  e.out.run = add_window;
}

void is_in_space(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint64_t* a = w.at<uint64_t>(i.op[1]);
  const auto window = static_cast<uint64_t>(i.immediate);
  set_predicate(w.predicate(i.op[0]), lanes, [=](int l) {
    if (window != 0) return a[l] - window < kWindowBytes;
    return a[l] - kSharedWindow >= 3 * kWindowBytes;  // global: in none of the windows
  });
}
void encode_isspacep(Encoder& e) {
  e.require_operands(2, 2);
  e.define(0, e.operand(0), Type::kPred);
  e.use(1, e.operand(1), Type::kU64);
  e.out.immediate = static_cast<int64_t>(window_of(e.match.groups[0]));
  e.out.run = is_in_space;
}

}  // namespace

const Forms& move_forms() {
  static const Forms forms = {
      {"mov(.b16,.b32,.b64,.u16,.u32,.u64,.s16,.s32,.s64,.f32,.f64)", nullptr, nullptr, encode_move},
      {"mov.pred", "pred pred", [](const Match&) -> Handler { return move_predicate; }},
      {"cvta{.to}(.global,.const,.shared,.shared::cta,.local,.param).u64", nullptr, nullptr, encode_cvta},
      {"isspacep(.global,.shared,.shared::cta,.local,.param)", nullptr, nullptr, encode_isspacep},
  };
  return forms;
}

}  // namespace winnow::gpusim
