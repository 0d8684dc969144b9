#include "exec/warp.h"

#include <algorithm>

#include "exec/block.h"

namespace winnow::gpusim {
namespace {

// A group that spins must let the others run. Most loops end before 64 branches, so the limit costs correct kernels
// nothing.
constexpr uint32_t kPatience = 64;

}  // namespace

bool Warp::run(uint64_t turn) {
  if ((reschedule || lanes == 0) && !choose()) return false;
  while (turn-- > 0) {
    if (pc >= stop_pc) choose();
    const Instruction& instruction = code[pc++];
    const uint32_t on = lanes & (predicate(instruction.guard) ^ instruction.guard_flip);
    ++warp_instructions;
    thread_instructions += static_cast<uint64_t>(__builtin_popcount(on));
    if (on != 0) instruction.run(*this, instruction, on);
    if (reschedule && !choose()) return false;
  }
  return true;
}

bool Warp::choose() {
  reschedule = false;
  const bool stays = insists && lanes != 0;
  const uint32_t current_pc = pc;
  if (lanes != 0) groups.push_back({pc, lanes, Group::kReady});
  lanes = 0;
  insists = stays;
  pc = UINT32_MAX;
  for (const Group& g : groups) {
    if (g.state == Group::kReady) pc = std::min(pc, g.pc);
  }
  if (pc == UINT32_MAX) return revive() && choose();
  if (stays) pc = current_pc;
  stop_pc = UINT32_MAX;
  size_t kept = 0;
  for (const Group& g : groups) {
    if (g.state == Group::kReady && g.pc == pc) {
      lanes |= g.lanes;
      continue;
    }
    if (g.state == Group::kReady && g.pc > pc) stop_pc = std::min(stop_pc, g.pc);
    groups[kept++] = g;
  }
  groups.resize(kept);
  return true;
}

void Warp::branched() {
  const auto is_ready = [](const Group& g) { return g.state == Group::kReady; };
  if (std::none_of(groups.begin(), groups.end(), is_ready)) {
    impatience = 0;
    stop_pc = UINT32_MAX;
    return;
  }
  if (++impatience < kPatience) {
    choose();
    return;
  }
  // The turn of the group with the next higher program counter, else of the lowest.
  impatience = 0;
  insists = false;
  uint32_t next = UINT32_MAX, lowest = UINT32_MAX;
  for (const Group& g : groups) {
    if (!is_ready(g)) continue;
    lowest = std::min(lowest, g.pc);
    if (g.pc > pc) next = std::min(next, g.pc);
  }
  const uint32_t turn = next != UINT32_MAX ? next : lowest;
  groups.push_back({pc, lanes, Group::kReady});
  for (Group& g : groups) {
    if (g.state == Group::kReady && g.pc == turn) {
      pc = g.pc;
      lanes = g.lanes;
      g = groups.back();
      groups.pop_back();
      break;
    }
  }
  insists = true;
  choose();
}

void Warp::park(uint32_t at, uint32_t which, Group::State state, uint8_t barrier, uint32_t members) {
  groups.push_back({at, which, state, barrier, members});
  lanes &= ~which;
  reschedule = true;
}

void Warp::exit(uint32_t which) {
  live &= ~which;
  lanes &= ~which;
  if (lanes == 0) reschedule = true;
  block->release_barriers();
}

uint32_t Warp::gather(const Instruction& instruction, uint32_t arrived) {
  const uint32_t* members = at<uint32_t>(instruction.op[kMembers]);
  uint32_t wanted = 0, outside = 0;
  for (uint32_t l = 0; l < kWarpSize; ++l) {
    const uint32_t here = 0 - (arrived >> l & 1);
    wanted |= members[l] & here;
    outside |= (~members[l] >> l & 1 & here) << l;
  }
  const uint32_t exited = started & ~live;
  if (outside != 0) {
    block->report(FindingKind::kWarpSync, *this, static_cast<uint32_t>(__builtin_ctz(outside)), instruction,
                  "the member mask does not name the lane that executes the instruction");
  }
  if ((wanted & ((live & ~arrived) | exited)) == 0) return arrived;

  const uint32_t self = pc - 1;
  uint32_t here = arrived;
  size_t kept = 0;
  for (const Group& g : groups) {
    if (g.state == Group::kAtSync && g.pc == self) {
      here |= g.lanes;
    } else {
      groups[kept++] = g;
    }
  }
  groups.resize(kept);
  uint32_t go = 0, named_exited = 0;
  for (uint32_t l = 0; l < kWarpSize; ++l) {
    if ((here >> l & 1) == 0 || (members[l] & live & ~here) != 0) continue;
    go |= 1u << l;
    named_exited |= members[l] & exited;
  }
  if ((lanes & ~arrived) != 0) groups.push_back({pc, lanes & ~arrived, Group::kReady});
  if ((here & ~go) != 0) groups.push_back({self, here & ~go, Group::kAtSync});
  lanes = go;
  reschedule = true;
  if (named_exited != 0) {
    block->report(FindingKind::kWarpSync, *this, static_cast<uint32_t>(__builtin_ctz(named_exited)), instruction,
                  "the member mask names " + std::to_string(__builtin_popcount(named_exited)) +
                      " lanes that exited without executing the instruction");
  }
  return go;
}

bool Warp::ready_to_sync(const Group& group) const {
  uint32_t here = 0;
  for (const Group& g : groups) {
    if (g.state == Group::kAtSync && g.pc == group.pc) here |= g.lanes;
  }
  const Slot slot = code[group.pc].op[kMembers];
  const auto* members = reinterpret_cast<const uint32_t*>(base[slot >> 31] + (slot & ~kConstantSlot));
  for (uint32_t l = 0; l < kWarpSize; ++l) {
    if ((group.lanes >> l & 1) != 0 && (members[l] & live & ~here) == 0) return true;
  }
  return false;
}

void Warp::release_warp_syncs() {
  uint32_t here = 0, released = 0;
  for (const Group& g : groups) {
    if (g.state == Group::kAtWarpSync) here |= g.lanes;
  }
  for (Group& g : groups) {
    if (g.state != Group::kAtWarpSync || (g.members & live & ~here) != 0) continue;
    g.state = Group::kReady;
    released |= g.lanes;
  }
  if (released == 0) return;
  reschedule = true;
  if (block->monitor) block->monitor->warp_sync(index, released);
}

bool Warp::revive() {
  release_warp_syncs();
  bool any = reschedule;
  for (Group& g : groups) {
    if (g.state == Group::kAtSync && ready_to_sync(g)) {
      g.state = Group::kReady;
      any = true;
    }
  }
  return any;
}

void Warp::fault(FindingKind kind, int error, const Instruction& instruction, uint32_t lane,
                 const std::string& message) const {
  throw Fault{kind, error, index, lane, instruction.index, message};
}

}  // namespace winnow::gpusim
