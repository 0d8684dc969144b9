// Instructions in which the lanes of a warp exchange values: shfl, vote, match, redux.
#include "decode/encoder.h"
#include "exec/block.h"
#include "exec/elementwise.h"

namespace winnow::gpusim {
namespace {

enum class Shuffle { kUp, kDown, kButterfly, kIndex };

// op: d, a, b (lane or distance), c (clamp and segment mask), p
template <Shuffle kMode>
void shuffle(Warp& w, const Instruction& i, uint32_t arrived) {
  const uint32_t lanes = w.gather(i, arrived);
  if (lanes == 0) return;
  const uint32_t *a = w.at<uint32_t>(i.op[1]), *b = w.at<uint32_t>(i.op[2]), *c = w.at<uint32_t>(i.op[3]);
  const uint32_t* members = w.at<uint32_t>(i.op[kMembers]);
  uint32_t result[kWarpSize], in_range = 0, absent = 0;
  for (uint32_t l = 0; l < kWarpSize; ++l) {
    const uint32_t distance = b[l] & 31, clamp = c[l] & 31, segment = c[l] >> 8 & 31;
    const uint32_t last = (l & segment) | (clamp & ~segment), first = l & segment;
    uint32_t source;
    bool valid;
    switch (kMode) {
      case Shuffle::kUp:
        source = l - distance;
        valid = static_cast<int32_t>(source) >= static_cast<int32_t>(last);
        break;
      case Shuffle::kDown:
        source = l + distance;
        valid = source <= last;
        break;
      case Shuffle::kButterfly:
        source = l ^ distance;
        valid = source <= last;
        break;
      default:
        source = first | (distance & ~segment);
        valid = source <= last;
        break;
    }
    if (!valid) source = l;
    result[l] = a[source & 31];
    in_range |= static_cast<uint32_t>(valid) << l;
    // Lanes that the block does not have read as anything: a reduction over a last, partial warp discards them.
    absent |= ((w.started & ~(lanes & members[l])) >> (source & 31) & 1) << l;
  }
  absent &= lanes & in_range;
  if (absent != 0) {
    w.block->report(FindingKind::kWarpSync, w, static_cast<uint32_t>(__builtin_ctz(absent)), i,
                    "reads the register of a lane that does not take part");
  }
  for_lanes(w, lanes, w.at<uint32_t>(i.op[0]), [&](int l) { return result[l]; });
  uint32_t& p = w.predicate(i.op[4]);
  p = (p & ~lanes) | (in_range & lanes);
}

// shfl.sync.bfly.b32 d|p, a, b, c, members
void encode_shuffle(Encoder& e) {
  e.require_operands(5, 6);
  const bool second = e.num_operands() == 6;
  const size_t first = second ? 2 : 1;
  e.define(0, e.operand(0), Type::kB32);
  e.define(4, second ? e.operand(1) : Operand(Operand::kSink), Type::kPred);
  for (int k = 0; k < 3; ++k) e.use(k + 1, e.operand(first + static_cast<size_t>(k)), Type::kB32);
  e.use(kMembers, e.operand(first + 3), Type::kB32);
  const std::string_view mode = e.match.groups[0];
  e.out.run = mode == ".up"     ? shuffle<Shuffle::kUp>
              : mode == ".down" ? shuffle<Shuffle::kDown>
              : mode == ".bfly" ? shuffle<Shuffle::kButterfly>
                                : shuffle<Shuffle::kIndex>;
}

// Lanes of one vote: those of `lanes` that the lane's member mask names. Masks mostly agree.
uint32_t voters(Warp& w, const Instruction& i, uint32_t lanes, int lane) {
  return w.at<uint32_t>(i.op[kMembers])[lane] & lanes;
}

enum class Vote { kAll, kAny, kUniform, kBallot };

template <Vote kKind>
void vote(Warp& w, const Instruction& i, uint32_t arrived) {
  const uint32_t lanes = w.gather(i, arrived);
  if (lanes == 0) return;
  const uint32_t votes = w.predicate(i.op[1]) ^ (i.flags != 0 ? kAllLanes : 0);
  if constexpr (kKind == Vote::kBallot) {
    uint32_t result[kWarpSize];
    for (int l = 0; l < kWarpSize; ++l) result[l] = votes & voters(w, i, lanes, l);
    for_lanes(w, lanes, w.at<uint32_t>(i.op[0]), [&](int l) { return result[l]; });
  } else {
    uint32_t result = 0;
    for (int l = 0; l < kWarpSize; ++l) {
      const uint32_t who = voters(w, i, lanes, l), yes = votes & who;
      const bool value = kKind == Vote::kAll ? yes == who : kKind == Vote::kAny ? yes != 0 : yes == 0 || yes == who;
      result |= static_cast<uint32_t>(value) << l;
    }
    uint32_t& d = w.predicate(i.op[0]);
    d = (d & ~lanes) | (result & lanes);
  }
}
void encode_vote(Encoder& e) {
  e.require_operands(3, 3);
  const std::string_view kind = e.match.groups[0];
  const bool ballot = kind == ".ballot";
  e.define(0, e.operand(0), ballot ? Type::kB32 : Type::kPred);
  e.predicate(1, e.operand(1));
  e.use(kMembers, e.operand(2), Type::kB32);
  e.out.run = ballot           ? vote<Vote::kBallot>
              : kind == ".all" ? vote<Vote::kAll>
              : kind == ".any" ? vote<Vote::kAny>
                               : vote<Vote::kUniform>;
}

template <class T, bool kAll>
void match_lanes(Warp& w, const Instruction& i, uint32_t arrived) {
  const uint32_t lanes = w.gather(i, arrived);
  if (lanes == 0) return;
  const T* a = w.at<T>(i.op[1]);
  uint32_t result[kWarpSize], same_everywhere = 0;
  for (int l = 0; l < kWarpSize; ++l) {
    const uint32_t who = voters(w, i, lanes, l);
    uint32_t same = 0;
    for (int k = 0; k < kWarpSize; ++k) same |= static_cast<uint32_t>(a[k] == a[l]) << k;
    same &= who;
    same_everywhere |= static_cast<uint32_t>(same == who) << l;
    result[l] = kAll && same != who ? 0 : same;
  }
  for_lanes(w, lanes, w.at<uint32_t>(i.op[0]), [&](int l) { return result[l]; });
  if (kAll) {
    uint32_t& p = w.predicate(i.op[4]);
    p = (p & ~lanes) | (same_everywhere & lanes);
  }
}
void encode_match(Encoder& e) {
  const bool all = e.match.has(".all"), wide = e.match.has(".b64");
  e.require_operands(3, all ? 4 : 3);
  const bool second = e.num_operands() == 4;
  e.define(0, e.operand(0), Type::kB32);
  if (all) e.define(4, second ? e.operand(1) : Operand(Operand::kSink), Type::kPred);
  e.use(1, e.operand(second ? 2 : 1), wide ? Type::kB64 : Type::kB32);
  e.use(kMembers, e.operand(second ? 3 : 2), Type::kB32);
  if (all) {
    e.out.run = wide ? match_lanes<uint64_t, true> : match_lanes<uint32_t, true>;
  } else {
    e.out.run = wide ? match_lanes<uint64_t, false> : match_lanes<uint32_t, false>;
  }
}

struct Add {
  template <class T>
  static T apply(T a, T b) {
    return static_cast<T>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
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

template <class Op, class T>
void reduce(Warp& w, const Instruction& i, uint32_t arrived) {
  const uint32_t lanes = w.gather(i, arrived);
  if (lanes == 0) return;
  const T* a = w.at<T>(i.op[1]);
  T result[kWarpSize];
  for (int l = 0; l < kWarpSize; ++l) {
    const uint32_t who = voters(w, i, lanes, l);
    T sum = 0;
    bool first = true;
    for (uint32_t rest = who; rest != 0; rest &= rest - 1) {
      const T value = a[__builtin_ctz(rest)];
      sum = first ? value : Op::apply(sum, value);
      first = false;
    }
    result[l] = sum;
  }
  for_lanes(w, lanes, w.at<T>(i.op[0]), [&](int l) { return result[l]; });
}
void encode_reduce(Encoder& e) {
  e.require_operands(3, 3);
  e.define(0, e.operand(0), Type::kB32);
  e.use(1, e.operand(1), Type::kB32);
  e.use(kMembers, e.operand(2), Type::kB32);
  const std::string_view op = e.match.groups[0];
  const bool is_signed = e.match.has(".s32");
  if (op == ".add") e.out.run = reduce<Add, uint32_t>;
  if (op == ".min") e.out.run = is_signed ? reduce<Min, int32_t> : reduce<Min, uint32_t>;
  if (op == ".max") e.out.run = is_signed ? reduce<Max, int32_t> : reduce<Max, uint32_t>;
  if (op == ".and") e.out.run = reduce<And, uint32_t>;
  if (op == ".or") e.out.run = reduce<Or, uint32_t>;
  if (op == ".xor") e.out.run = reduce<Xor, uint32_t>;
}

void active_mask(Warp& w, const Instruction& i, uint32_t lanes) {
  for_lanes(w, lanes, w.at<uint32_t>(i.op[0]), [=](int) { return lanes; });
}

}  // namespace

const Forms& warp_forms() {
  static const Forms forms = {
      {"shfl.sync(.up,.down,.bfly,.idx).b32", nullptr, nullptr, encode_shuffle},
      {"vote.sync(.all,.any,.uni).pred", nullptr, nullptr, encode_vote},
      {"vote.sync(.ballot).b32", nullptr, nullptr, encode_vote},
      {"match(.any,.all).sync(.b32,.b64)", nullptr, nullptr, encode_match},
      {"redux.sync(.add,.min,.max)(.u32,.s32)", nullptr, nullptr, encode_reduce},
      {"redux.sync(.and,.or,.xor)(.b32)", nullptr, nullptr, encode_reduce},
      {"activemask.b32", "b32", [](const Match&) -> Handler { return active_mask; }},
  };
  return forms;
}

}  // namespace winnow::gpusim
