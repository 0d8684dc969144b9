// Who accessed a piece of memory last, and when, in 64 bits.
#pragma once

#include <cstdint>

namespace winnow::gpusim {

// 0 = nobody. From the lowest bit: lane 5, warp 5, several lanes 1, strong 1, pending 1, clock of the warp 20, origin
// 30, set 1.
// The origin is the block in global memory and the instruction in shared memory, where the block is always the running
// one.
using AccessKey = uint64_t;

constexpr int kWarpShift = 5, kClockShift = 13, kOriginShift = 33;
constexpr uint32_t kMaxClock = (1u << 20) - 1;
constexpr AccessKey kSeveralLanes = AccessKey{1} << 10;   // of this warp; the lane is 0 then
constexpr AccessKey kStrong = AccessKey{1} << 11;         // atomic, or ordered stronger than weak
constexpr AccessKey kPending = AccessKey{1} << 12;        // by a cp.async that its thread has not waited for
constexpr AccessKey kReaderSet = AccessKey{1} << 63;      // the rest is a ReaderSets id
constexpr AccessKey kManyBlocks = ~AccessKey{0};          // read by more blocks than are told apart
constexpr AccessKey kManyBlocksStrong = kManyBlocks - 1;  // ... always by strong accesses

inline AccessKey make_key(uint32_t origin, uint32_t clock, uint32_t warp) {
  return AccessKey{origin & 0x3FFF'FFFFu} << kOriginShift | AccessKey{clock} << kClockShift | warp << kWarpShift;
}
inline uint32_t lane_of(AccessKey key) { return key & 31; }
inline uint32_t warp_of(AccessKey key) { return key >> kWarpShift & 31; }
inline uint32_t thread_of(AccessKey key) { return key & 1023; }
inline uint32_t clock_of(AccessKey key) { return key >> kClockShift & kMaxClock; }
inline uint32_t origin_of(AccessKey key) { return key >> kOriginShift & 0x3FFF'FFFF; }

}  // namespace winnow::gpusim
