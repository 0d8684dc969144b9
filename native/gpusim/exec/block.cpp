#include "exec/block.h"

#include <algorithm>
#include <numeric>

namespace winnow::gpusim {
namespace {

constexpr uint64_t kLongTurn = 4096;  // instructions: a warp's registers stay in the cache
constexpr uint8_t kFreshByte = 0xA5;
constexpr size_t kRegisterAlignment = 64;  // one cache line

Dim3 unravel(uint64_t index, Dim3 size) {
  return {static_cast<uint32_t>(index % size.x), static_cast<uint32_t>(index / size.x % size.y),
          static_cast<uint32_t>(index / size.x / size.y)};
}

void fill_lanes(Warp& warp, Special special, uint32_t value) {
  std::fill_n(warp.at<uint32_t>(special * kSpecialStride), kWarpSize, value);
}

}  // namespace

Block::Block(const Launch& launch)
    : launch(launch),
      program(*launch.program),
      num_threads(launch.block.x * launch.block.y * launch.block.z),
      warps((num_threads + kWarpSize - 1) / kWarpSize),
      shared(launch.shared_bytes),
      translations(program.num_caches),
      registers_(warps.size() * program.register_bytes + kRegisterAlignment),
      local_(warps.size() * kWarpSize * program.local_bytes) {
  void* aligned = registers_.data();
  size_t space = registers_.size();
  if (launch.monitor != nullptr) monitor = launch.monitor->make_worker();
  std::align(kRegisterAlignment, space - kRegisterAlignment, aligned, space);
  const Dim3 size = launch.block;
  for (uint32_t i = 0; i < warps.size(); ++i) {
    Warp& w = warps[i];
    w.base[0] = static_cast<uint8_t*>(aligned) + i * program.register_bytes;
    w.base[1] = const_cast<uint8_t*>(program.constants.data());
    w.block = this;
    w.code = program.code.data();
    w.index = i;
    w.local = local_.data() + static_cast<size_t>(i) * kWarpSize * program.local_bytes;
    const uint32_t present = std::min<uint32_t>(kWarpSize, num_threads - i * kWarpSize);
    w.started = present == kWarpSize ? kAllLanes : (1u << present) - 1;
    for (uint32_t l = 0; l < kWarpSize; ++l) {
      const Dim3 thread = unravel(i * kWarpSize + l, size);
      const uint32_t below = (1u << l) - 1, self = 1u << l;
      const std::pair<Special, uint32_t> values[] = {
          {kTidX, thread.x},    {kTidY, thread.y},    {kTidZ, thread.z},           {kLaneId, l},
          {kLaneMaskEq, self},  {kLaneMaskLt, below}, {kLaneMaskLe, below | self}, {kLaneMaskGt, ~(below | self)},
          {kLaneMaskGe, ~below}};
      for (const auto& [special, value] : values) w.at<uint32_t>(special * kSpecialStride)[l] = value;
    }
    const Dim3 grid = launch.grid;
    const std::pair<Special, uint32_t> uniform[] = {{kNTidX, size.x},
                                                    {kNTidY, size.y},
                                                    {kNTidZ, size.z},
                                                    {kNCtaIdX, grid.x},
                                                    {kNCtaIdY, grid.y},
                                                    {kNCtaIdZ, grid.z},
                                                    {kWarpId, i},
                                                    {kNWarpId, static_cast<uint32_t>(warps.size())},
                                                    {kSmId, 0},
                                                    {kNSmId, 1},
                                                    {kDynamicSharedBytes, launch.dynamic_shared_bytes},
                                                    {kTotalSharedBytes, launch.shared_bytes}};
    for (const auto& [special, value] : uniform) fill_lanes(w, special, value);
  }
}

void Block::start(uint64_t index) {
  id = unravel(index, launch.grid);
  std::fill(shared.begin(), shared.end(), kFreshByte);
  std::fill(local_.begin(), local_.end(), kFreshByte);
  for (Barrier& b : barriers) b = Barrier{};
  printed.clear();
  counters = Counters{};
  instructions_left = launch.options->max_instructions;
  if (monitor) monitor->begin_block(id, shared.data(), launch.shared_bytes);
  for (Warp& w : warps) {
    w.live = w.lanes = w.started;
    w.pc = 0;
    w.stop_pc = UINT32_MAX;
    w.reschedule = w.insists = false;
    w.impatience = w.carry = 0;
    w.thread_instructions = w.warp_instructions = 0;
    w.groups.clear();
    w.copies.clear();
    std::fill_n(w.batch, kWarpSize, 0u);
    fill_lanes(w, kCtaIdX, id.x);
    fill_lanes(w, kCtaIdY, id.y);
    fill_lanes(w, kCtaIdZ, id.z);
  }
}

void Block::run(uint64_t index) {
  start(index);
  try {
    schedule(index);
  } catch (const Fault&) {
    finish();
    throw;
  }
  finish();
}

void Block::finish() {
  for (const Warp& w : warps) {
    counters.warp_instructions += w.warp_instructions;
    counters.thread_instructions += w.thread_instructions;
  }
  if (monitor) monitor->end_block();
}

// Warps take turns. Seed 0: in ascending order and long turns; otherwise both are random, the same for the same seed
// and block.
void Block::schedule(uint64_t index) {
  std::mt19937_64 random(launch.options->seed * 0x9E37'79B9'7F4A'7C15 + index);
  std::vector<uint32_t> order(warps.size());
  std::iota(order.begin(), order.end(), 0u);
  for (;;) {
    if (launch.options->seed != 0) std::shuffle(order.begin(), order.end(), random);
    bool progress = false, finished = true;
    for (const uint32_t i : order) {
      Warp& w = warps[i];
      if (w.live == 0) continue;
      const uint64_t before = w.warp_instructions;
      w.run(launch.options->seed == 0 ? kLongTurn : 16 + random() % 512);
      const uint64_t done = w.warp_instructions - before;
      if (done > instructions_left) {
        w.fault(
            FindingKind::kTimeout, 702, w.code[w.pc < program.code.size() ? w.pc : 0], 0,
            "the block has not ended after " + std::to_string(launch.options->max_instructions) + " warp instructions");
      }
      instructions_left -= done;
      progress |= done != 0;
      finished &= w.live == 0;
    }
    if (finished) return;
    if (!progress) deadlock();
  }
}

void Block::deadlock() {
  for (Warp& w : warps) {
    for (const Group& g : w.groups) {
      const bool at_barrier = g.state == Group::kAtBarrier;
      const Instruction& i = program.code[at_barrier || g.state == Group::kAtWarpSync ? g.pc - 1 : g.pc];
      std::string message = "waits for lanes that never arrive";
      if (at_barrier) {
        uint32_t arrived = 0;
        for (const uint32_t lanes : barriers[g.barrier].arrived)
          arrived += static_cast<uint32_t>(__builtin_popcount(lanes));
        message = "waits at barrier " + std::to_string(g.barrier) + ", where " + std::to_string(arrived) + " of " +
                  std::to_string(barriers[g.barrier].expected == 0 ? num_threads : barriers[g.barrier].expected) +
                  " threads have arrived and nobody else can";
      }
      throw Fault{
          FindingKind::kDeadlock, 719, w.index, static_cast<uint32_t>(__builtin_ctz(g.lanes)), i.index, message};
    }
  }
  throw Fault{FindingKind::kDeadlock, 719, 0, 0, 0, "no warp of the block can go on"};
}

void Block::report(FindingKind kind, const Warp& warp, uint32_t lane, const Instruction& at,
                   const std::string& message) {
  launch.log->add(kind, id, warp.index * kWarpSize + lane, at.index, message);
}

void Block::release_barriers() {
  for (uint8_t id = 0; id < 16; ++id) {
    Barrier& b = barriers[id];
    if (!b.in_use) continue;
    uint32_t count = 0;
    bool all = true;
    for (const Warp& w : warps) {
      const uint32_t arrived = b.arrived[w.index];
      all &= (w.live & ~arrived) == 0;
      // Counted barriers count whole warps: a last warp with fewer threads counts as 32.
      if (arrived != 0)
        count += (w.live & ~arrived) == 0 ? kWarpSize : static_cast<uint32_t>(__builtin_popcount(arrived));
    }
    if (b.expected == 0 ? !all : count < b.expected) continue;
    if (monitor) monitor->barrier_released(id);
    const Barrier done = b;
    b = Barrier{};
    for (Warp& w : warps) {
      for (Group& g : w.groups) {
        if (g.state != Group::kAtBarrier || g.barrier != id) continue;
        g.state = Group::kReady;
        w.reschedule = true;
        const Instruction& i = program.code[g.pc - 1];
        if (i.num_list != 0) {  // bar.red: list[0] receives the result
          const Slot to = i.list[0];
          if (i.flags == 0) {
            for_lanes(w, g.lanes, w.at<uint32_t>(to), [&](int) { return done.votes; });
          } else {
            const bool value = i.flags == 1 ? done.all_votes : done.votes != 0;
            w.predicate(to) = (w.predicate(to) & ~g.lanes) | (value ? g.lanes : 0);
          }
        }
      }
    }
  }
}

}  // namespace winnow::gpusim
