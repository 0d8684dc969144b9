// Branches, barriers, fences, and the calls that have no PTX body: printf and assert.
#include <cstdio>
#include <cstring>

#include "decode/encoder.h"
#include "exec/access.h"

namespace winnow::gpusim {
namespace {

void jump(Warp& w, uint32_t taken, uint32_t target) {
  Counters& counters = w.block->counters;
  ++counters.branches;
  if (taken == w.lanes) {
    w.pc = target;
  } else if (taken != 0) {
    ++counters.divergent_branches;
    w.groups.push_back({w.pc, w.lanes & ~taken, Group::kReady});
    w.lanes = taken;
    w.pc = target;
  }
  if (!w.groups.empty()) w.branched();
}

// The guard is op[0], so that lanes which do not branch are seen here as well.
void branch(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint32_t condition = w.predicate(i.op[0]) ^ (i.flags != 0 ? kAllLanes : 0);
  jump(w, lanes & condition, static_cast<uint32_t>(i.immediate));
}
void encode_branch(Encoder& e) {
  e.require_operands(1, 1);
  const uint32_t target = e.target(e.operand(0));
  e.out.immediate = target;
  e.out.op[0] = kAlways;
  if (e.statement.guard >= 0) {
    Operand guard(Operand::kRegister, static_cast<uint32_t>(e.statement.guard));
    guard.negated = e.statement.guard_negated;
    e.predicate(0, guard);
  }
  e.branches_to({target}, e.statement.guard >= 0);
  e.out.run = branch;
}

// One group per target; an index beyond the table faults.
void branch_indexed(Warp& w, const Instruction& i, uint32_t lanes) {
  const auto& table = w.block->program.branch_tables[static_cast<size_t>(i.immediate)];
  const uint32_t* index = w.at<uint32_t>(i.op[0]);
  ++w.block->counters.branches;
  uint32_t rest = lanes, groups = 0;
  if (lanes != w.lanes) w.groups.push_back({w.pc, w.lanes & ~lanes, Group::kReady});
  w.lanes = 0;
  while (rest != 0) {
    const auto first = static_cast<uint32_t>(__builtin_ctz(rest));
    if (index[first] >= table.size())
      w.fault(FindingKind::kIllegalInstruction, 719, i, first, "brx.idx beyond its table");
    uint32_t same = 0;
    for (uint32_t l = 0; l < kWarpSize; ++l)
      same |= static_cast<uint32_t>((rest >> l & 1) != 0 && index[l] == index[first]) << l;
    w.groups.push_back({table[index[first]], same, Group::kReady});
    rest &= ~same;
    ++groups;
  }
  if (groups > 1) ++w.block->counters.divergent_branches;
  w.reschedule = true;
}
void encode_branch_indexed(Encoder& e) {
  e.require_operands(2, 2);
  e.use(0, e.operand(0), Type::kU32);
  if (e.operand(1).kind != Operand::kLabel) e.fail("expected the label of .branchtargets");
  const Label& list = e.function().labels[e.operand(1).index];
  std::vector<uint32_t> targets;
  for (const int t : list.targets)
    targets.push_back(static_cast<uint32_t>(e.function().labels[static_cast<size_t>(t)].position));
  if (targets.empty()) e.fail("expected the label of .branchtargets");
  e.out.immediate = static_cast<int64_t>(e.program().branch_tables.size());
  e.program().branch_tables.push_back(targets);
  e.branches_to(targets, e.statement.guard >= 0);
  e.out.run = branch_indexed;
}

void exit_threads(Warp& w, const Instruction&, uint32_t lanes) { w.exit(lanes); }
void encode_exit(Encoder& e) {
  e.require_operands(0, 0);
  e.branches_to({}, e.statement.guard >= 0);
  e.out.run = exit_threads;
}

void trap(Warp& w, const Instruction& i, uint32_t lanes) {
  w.fault(FindingKind::kIllegalInstruction, 719, i, static_cast<uint32_t>(__builtin_ctz(lanes)), "trap");
}
void encode_trap(Encoder& e) {
  e.require_operands(0, 0);
  e.out.run = trap;
}

// ---- barriers. op[0]: barrier, op[1]: number of threads (immediate 1: given), op[2]: predicate of bar.red.

template <bool kWaits>
void barrier(Warp& w, const Instruction& i, uint32_t lanes) {
  Block& block = *w.block;
  const auto first = static_cast<uint32_t>(__builtin_ctz(lanes));
  const uint32_t id = w.at<uint32_t>(i.op[0])[first];
  const uint32_t threads = i.immediate != 0 ? w.at<uint32_t>(i.op[1])[first] : 0;
  if (id > 15) w.fault(FindingKind::kIllegalInstruction, 719, i, first, "there is no barrier " + std::to_string(id));
  if (i.immediate != 0 && (threads == 0 || threads % kWarpSize != 0)) {
    w.fault(FindingKind::kIllegalInstruction, 719, i, first,
            "a barrier's thread count must be a multiple of 32, found " + std::to_string(threads));
  }
  ++block.counters.barriers;
  Barrier& b = block.barriers[id];
  if (!b.in_use) {
    b.in_use = true;
    b.arrived.assign(block.warps.size(), 0);
    b.expected = threads;
  }
  if (b.expected != threads) {
    w.fault(FindingKind::kIllegalInstruction, 719, i, first,
            "barrier " + std::to_string(id) + " is in use with another number of threads");
  }
  if ((b.arrived[w.index] & lanes) != 0) {
    w.fault(FindingKind::kDeadlock, 719, i, first,
            "a thread arrives at barrier " + std::to_string(id) + " for the second time before its release");
  }
  b.arrived[w.index] |= lanes;
  if (block.monitor) block.monitor->barrier_arrived(id, w.index, lanes, kWaits, i.immediate != 0, i.index);
  if (i.num_list != 0) {
    const uint32_t votes = w.predicate(i.op[2]) & lanes;
    b.votes += static_cast<uint32_t>(__builtin_popcount(votes));
    b.all_votes &= votes == lanes;
  }
  if (kWaits) w.park(w.pc, lanes, Group::kAtBarrier, static_cast<uint8_t>(id));
  block.release_barriers();
}

void encode_barrier_operands(Encoder& e, size_t first, bool count) {
  e.use(0, e.operand(first), Type::kU32);
  e.out.op[1] = kZero64;
  if (count) {
    e.use(1, e.operand(first + 1), Type::kU32);
    e.out.immediate = 1;
  }
}
void encode_sync(Encoder& e) {
  e.require_operands(1, 2);
  encode_barrier_operands(e, 0, e.num_operands() == 2);
  e.out.run = barrier<true>;
}
void encode_arrive(Encoder& e) {
  e.require_operands(2, 2);
  encode_barrier_operands(e, 0, true);
  e.out.run = barrier<false>;
}
// bar.red.popc.u32 d, a{, b}, p. flags: 0 count, 1 and, 2 or
void encode_reduce(Encoder& e) {
  e.require_operands(3, 4);
  const bool counts = e.match.has(".popc");
  encode_barrier_operands(e, 1, e.num_operands() == 4);
  e.define_list(e.operand(0), counts ? Type::kU32 : Type::kPred);
  e.use(2, e.operand(e.num_operands() - 1), Type::kPred);
  e.out.flags = static_cast<uint8_t>(counts ? 0 : e.match.has(".and") ? 1 : 2);
  e.out.run = barrier<true>;
}

void sync_warp(Warp& w, const Instruction& i, uint32_t lanes) {
  const uint32_t members = w.at<uint32_t>(i.op[kMembers])[__builtin_ctz(lanes)];
  if ((members & lanes) != lanes) {
    w.block->report(FindingKind::kWarpSync, w, static_cast<uint32_t>(__builtin_ctz(lanes & ~members)), i,
                    "the member mask does not name the lane that executes the instruction");
  }
  if ((members & w.live & ~lanes) == 0) {
    if (w.block->monitor) w.block->monitor->warp_sync(w.index, lanes);
    return;
  }
  w.park(w.pc, lanes, Group::kAtWarpSync, 0, members | lanes);
  w.release_warp_syncs();
}
void encode_sync_warp(Encoder& e) {
  e.require_operands(1, 1);
  e.use(kMembers, e.operand(0), Type::kB32);
  e.out.run = sync_warp;
}

void no_effect(Warp&, const Instruction&, uint32_t) {}
// Blocks see each other's writes at once: only the race check listens.
void fence(Warp& w, const Instruction& i, uint32_t lanes) {
  if (w.block->monitor) w.block->monitor->fence(w.index, lanes, i.flags != 0);
}
void encode_fence(Encoder& e) {
  e.require_operands(0, 0);
  e.out.flags = e.match.has(".cta") ? 0 : 1;
  e.out.run = fence;
}
void encode_sleep(Encoder& e) {
  e.require_operands(1, 1);
  e.use(0, e.operand(0), Type::kU32);
  e.out.run = no_effect;
}

// ---- printf and assert

std::string text_at(Warp& w, const Instruction& i, uint32_t lane, uint64_t address) {
  std::string text;
  for (;; ++address) {
    const char c = static_cast<char>(*resolve_one(w, i, lane, address, 1));
    if (c == '\0' || text.size() > 4096) return text;
    text += c;
  }
}

// One conversion with its argument, at `position` of the argument buffer, where each is aligned to its size.
std::string formatted(Warp& w, const Instruction& i, uint32_t lane, std::string specification, uint64_t buffer,
                      uint64_t& position) {
  const auto fetch = [&](auto value) {
    position = (position + sizeof value - 1) / sizeof value * sizeof value;
    std::memcpy(&value, resolve_one(w, i, lane, buffer + position, sizeof value), sizeof value);
    position += sizeof value;
    return value;
  };
  char text[512];
  const char conversion = specification.back();
  const bool is_long = specification.find('l') != std::string::npos;
  if (std::strchr("fFeEgGaA", conversion) != nullptr) {
    std::snprintf(text, sizeof text, specification.c_str(), fetch(double{}));
  } else if (conversion == 's') {
    return text_at(w, i, lane, fetch(uint64_t{}));
  } else if (conversion == 'p') {
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(fetch(uint64_t{})));
  } else if (is_long) {
    std::snprintf(text, sizeof text, specification.c_str(), fetch(int64_t{}));
  } else {
    std::snprintf(text, sizeof text, specification.c_str(), fetch(int32_t{}));
  }
  return text;
}

void print(Warp& w, const Instruction& i, uint32_t lanes) {
  int32_t counts[kWarpSize] = {};
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<uint32_t>(__builtin_ctz(rest));
    const uint8_t* frame = w.local + lane * w.block->program.local_bytes;
    uint64_t format, buffer;
    std::memcpy(&format, frame + i.op[1], sizeof format);
    std::memcpy(&buffer, frame + i.op[2], sizeof buffer);
    const std::string text = text_at(w, i, lane, format);
    std::string& out = w.block->printed;
    uint64_t position = 0;
    int32_t count = 0;
    for (size_t k = 0; k < text.size(); ++k) {
      if (text[k] != '%') {
        out += text[k];
      } else if (k + 1 < text.size() && text[k + 1] == '%') {
        out += text[++k];
      } else {
        const size_t end = text.find_first_of("diouxXcfFeEgGaAsp", k + 1);
        if (end == std::string::npos) break;
        out += formatted(w, i, lane, text.substr(k, end - k + 1), buffer, position);
        ++count;
        k = end;
      }
    }
    counts[lane] = count;
  }
  if (i.immediate < 0) return;
  Lanes result;
  for (uint64_t& a : result.address) a = static_cast<uint64_t>(i.immediate);
  resolve_addresses(w, i, lanes, sizeof(int32_t), AccessKind::kStore, AddressSpace::kLocal, result,
                    reinterpret_cast<const uint8_t*>(counts));
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    std::memcpy(result.pointer[lane], &counts[lane], sizeof(int32_t));
  }
}

void assertion_failed(Warp& w, const Instruction& i, uint32_t lanes) {
  const auto lane = static_cast<uint32_t>(__builtin_ctz(lanes));
  const uint8_t* frame = w.local + lane * w.block->program.local_bytes;
  uint64_t message, file;
  uint32_t line;
  std::memcpy(&message, frame + i.op[0], sizeof message);
  std::memcpy(&file, frame + i.op[1], sizeof file);
  std::memcpy(&line, frame + i.op[2], sizeof line);
  w.fault(FindingKind::kAssertion, 710, i, lane,
          "assertion `" + text_at(w, i, lane, message) + "` failed at " + text_at(w, i, lane, file) + ":" +
              std::to_string(line));
}

// Arguments lie in the thread's parameter variables: op holds their offsets in local memory.
void encode_call(Encoder& e) {
  const auto offset = [&](const Operand& o) {
    AddressSpace space;
    if (o.kind != Operand::kVariable) e.fail("arguments of a call must be .param variables");
    return static_cast<uint32_t>(e.variable_address(o, &space));
  };
  if (e.statement.callee == "vprintf") {
    e.require_operands(2, 2);
    e.out.op[1] = offset(e.operand(0));
    e.out.op[2] = offset(e.operand(1));
    e.out.immediate = e.statement.returns.empty() ? -1 : static_cast<int64_t>(offset(e.statement.returns[0]));
    e.out.run = print;
  } else if (e.statement.callee == "__assertfail") {
    e.require_operands(5, 5);
    for (int k = 0; k < 3; ++k) e.out.op[k] = offset(e.operand(static_cast<size_t>(k)));
    e.out.run = assertion_failed;
  } else {
    e.fail("call of " + e.statement.callee + ", which has no body");
  }
}

}  // namespace

const Forms& control_forms() {
  static const Forms forms = {
      {"bra{.uni}", nullptr, nullptr, encode_branch},
      {"brx.idx{.uni}", nullptr, nullptr, encode_branch_indexed},
      {"ret{.uni}", nullptr, nullptr, encode_exit},
      {"exit", nullptr, nullptr, encode_exit},
      {"trap", nullptr, nullptr, encode_trap},
      {"call", nullptr, nullptr, encode_call},
      {"bar{.cta}.sync", nullptr, nullptr, encode_sync},
      {"barrier{.cta}.sync{.aligned}", nullptr, nullptr, encode_sync},
      {"bar{.cta}.arrive", nullptr, nullptr, encode_arrive},
      {"barrier{.cta}.arrive{.aligned}", nullptr, nullptr, encode_arrive},
      {"bar{.cta}.red(.popc).u32", nullptr, nullptr, encode_reduce},
      {"bar{.cta}.red(.and,.or).pred", nullptr, nullptr, encode_reduce},
      {"barrier{.cta}.red(.popc){.aligned}.u32", nullptr, nullptr, encode_reduce},
      {"barrier{.cta}.red(.and,.or){.aligned}.pred", nullptr, nullptr, encode_reduce},
      {"bar.warp.sync", nullptr, nullptr, encode_sync_warp},
      {"membar(.cta,.gl,.sys)", nullptr, nullptr, encode_fence},
      {"fence{.sc,.acq_rel}(.cta,.gpu,.sys)", nullptr, nullptr, encode_fence},
      {"nanosleep.u32", nullptr, nullptr, encode_sleep},
  };
  return forms;
}

}  // namespace winnow::gpusim
