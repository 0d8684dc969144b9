// The state that instructions work on.
//
// Registers are lane arrays: each holds 32 consecutive values, and a handler is a loop over 32 lanes that the compiler
// vectorises.
// Divergence: lanes with the same program counter form a group. The group with the lowest program counter runs, the
// others wait. Groups that meet merge. Control flow is not analysed: nvcc orders basic blocks so that groups
// reconverge.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "decode/program.h"
#include "mem/allocation.h"

namespace winnow::gpusim {

struct Block;

constexpr int kWarpSize = 32;

// Ends the launch: thrown by a handler, caught where the block is run.
struct Fault {
  FindingKind kind;
  int error;
  uint32_t warp, lane, instruction;
  std::string message;
};

struct Group {
  enum State : uint8_t {
    kReady,
    kAtSync,      // before a .sync instruction, for the lanes of its member mask
    kAtWarpSync,  // before a bar.warp.sync
    kAtBarrier,   // after a barrier instruction
  };
  uint32_t pc, lanes;
  State state;
  uint8_t barrier = 0;
  uint32_t members = 0;  // kAtWarpSync
};

// Copies of one cp.async that have not happened yet.
struct AsyncCopy {
  uint32_t lanes, bytes;
  uint32_t batch[kWarpSize];         // the thread's commits before it: complete when enough newer ones exist
  uint32_t source_bytes[kWarpSize];  // the rest is zeros
  const uint8_t* source[kWarpSize];
  uint64_t target[kWarpSize];  // offset in shared memory
};

constexpr int kMembers = 5;  // the operand that holds the member mask of a .sync instruction

struct Warp {
  uint8_t* base[2];  // registers, constants
  uint32_t live;     // lanes that have not exited
  uint32_t lanes;    // of the running group
  uint32_t pc;       // of the next instruction
  uint32_t stop_pc;  // where the running group meets another or has to let it run
  uint32_t carry;    // flag of each lane, for add.cc and the like
  bool reschedule;   // the running group stopped, or other groups became ready
  Block* block;
  const Instruction* code;
  uint64_t thread_instructions, warp_instructions;
  uint32_t started;  // lanes that exist
  uint32_t index;
  uint32_t impatience;        // branches taken while another group was ready
  bool insists;               // runs although a group with a lower program counter is ready: its turn
  std::vector<Group> groups;  // all but the running one
  uint8_t* local;
  uint32_t batch[kWarpSize];  // cp.async.commit_group so far
  std::vector<AsyncCopy> copies;

  template <class T>
  T* at(Slot slot) {
    return reinterpret_cast<T*>(base[slot >> 31] + (slot & ~kConstantSlot));
  }
  uint32_t& predicate(Slot slot) { return *at<uint32_t>(slot); }

  // Runs until `turn` instructions are done and returns true, or until no lane of the warp can continue and returns
  // false.
  bool run(uint64_t turn);

  // The running group gives up its turn and waits in `state`.
  void park(uint32_t pc, uint32_t lanes, Group::State state, uint8_t barrier = 0, uint32_t members = 0);
  bool choose();              // the next group to run; false when none is ready
  void branched();            // after every branch while groups wait
  void release_warp_syncs();  // those whose members are all there
  void exit(uint32_t lanes);

  // Returns the lanes that execute a .sync instruction now: those whose members have all arrived. 0: the group waits,
  // it has been parked.
  // The member mask is op[kMembers].
  uint32_t gather(const Instruction& instruction, uint32_t arrived);

 private:
  bool revive();  // groups that wait for lanes that have exited
  bool ready_to_sync(const Group& group) const;

 public:
  [[noreturn]] void fault(FindingKind kind, int error, const Instruction& instruction, uint32_t lane,
                          const std::string& message) const;
};

// d[l] = f(l) for the given lanes. Lanes that have exited may be overwritten: nobody reads them. `d` may be one of f's
// inputs.
template <class D, class F>
inline void for_lanes(const Warp& warp, uint32_t lanes, D* d, F f) {
  if (lanes == warp.live) {
#pragma GCC ivdep
    for (int l = 0; l < kWarpSize; ++l) d[l] = f(l);
  } else {
#pragma GCC ivdep
    for (int l = 0; l < kWarpSize; ++l) {
      const D r = f(l);
      d[l] = (lanes >> l & 1) != 0 ? r : d[l];
    }
  }
}

// The same for a predicate: bit l of the result is f(l).
template <class F>
inline void set_predicate(uint32_t& predicate, uint32_t lanes, F f) {
  uint32_t bits = 0;
  for (int l = 0; l < kWarpSize; ++l) bits |= static_cast<uint32_t>(f(l)) << l;
  predicate = (predicate & ~lanes) | (bits & lanes);
}

}  // namespace winnow::gpusim
