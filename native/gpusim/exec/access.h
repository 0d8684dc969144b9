// From addresses to bytes: bounds, alignment, liveness; then the monitor is told.
#pragma once

#include "exec/block.h"

namespace winnow::gpusim {

// Where the bytes of each lane lie on the host. Inactive lanes repeat an active lane's: loads need no mask.
struct Lanes {
  Lanes() = default;
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;
  ~Lanes() {
    if (held != 0) monitor->after(held);
  }
  uint8_t* pointer[kWarpSize];
  uint64_t address[kWarpSize];  // in its own space; once resolved, shared ones count from the block's first byte
  AddressSpace space;           // never generic, unless the lanes differ
  BlockMonitor* monitor = nullptr;
  uint64_t held = 0;  // the monitor's lock, until the access has taken effect: the end of this object
};

// Resolves op[base] + immediate for `bytes` bytes per lane and tells the monitor. `values` are those of a store, lane
// after lane. Faults with 700 or 716 if a lane's access is not permitted.
void resolve(Warp& w, const Instruction& i, uint32_t lanes, int base, uint32_t bytes, AccessKind kind, Lanes& to,
             const uint8_t* values = nullptr);
// The same for addresses that have been computed already, in `to.address`.
void resolve_addresses(Warp& w, const Instruction& i, uint32_t lanes, uint32_t bytes, AccessKind kind,
                       AddressSpace space, Lanes& to, const uint8_t* values = nullptr);
void compute_addresses(Warp& w, const Instruction& i, uint32_t lanes, int base, Lanes& to);

// One generic address of a lane, for printf and asserts.
const uint8_t* resolve_one(Warp& w, const Instruction& i, uint32_t lane, uint64_t address, uint32_t bytes);

}  // namespace winnow::gpusim
